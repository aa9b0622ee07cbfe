#include "talk.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <thread>

using namespace std::chrono_literals;

Caller greeted(Server& server, const std::string& name, const CallerOptions& options) {
    Caller caller = server.call(name, options);
    caller.expect_line_like("Welcome to 10086, *, pid *, thread *");
    return caller;
}

void expect_service(Server& server, const std::string& name) {
    Caller caller = greeted(server, name);
    caller.send("0\n");
    caller.expect("0000\n");
}

void expect_all_that_is_owed(Server& server) {
    Caller caller = greeted(server, "A", {.receive_buffer = 65536});
    const std::string line = std::string(1000, 'x') + '\n';
    constexpr int lines = 1500;
    auto asking = std::async(std::launch::async, [&] {
        caller.send(repeated(lines, "echo " + line) + "exit\n" + repeated(100, line), 20s);
    });
    std::this_thread::sleep_for(300ms); // The caller is slow: by now the server is done.
    for (int i = 0; i < lines; ++i)
        caller.expect(line);
    caller.expect_end();
    asking.get();
}

std::size_t long_answer() {
    return sanitized() ? 1'000'000 : 4'000'000;
}

std::string repeated(std::size_t count, std::string_view text) {
    std::string all;
    all.reserve(count * text.size());
    for (std::size_t i = 0; i < count; ++i)
        all += text;
    return all;
}

std::string big_bytes(std::size_t count) {
    constexpr std::string_view pattern = "abcdefghijklmnopqrstuvw";
    return repeated(count / pattern.size() + 1, pattern).substr(0, count);
}

std::string big_sum(std::size_t count) {
    std::uint32_t a = 1; // Adler-32, RFC 1950
    std::uint32_t b = 0;
    for (const char byte : big_bytes(count)) {
        a = (a + static_cast<unsigned char>(byte)) % 65'521;
        b = (b + a) % 65'521;
    }
    std::array<char, 16> line{};
    std::snprintf(line.data(), line.size(), "sum %04x%04x\n", b, a);
    return line.data();
}

std::string big_answer(std::size_t count) {
    return big_bytes(count) + '\n' + big_sum(count);
}
