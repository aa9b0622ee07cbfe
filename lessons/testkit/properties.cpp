#include "properties.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

const std::vector<Property>& properties() {
    static const std::vector<Property> all = {
        {"P01", greeting},
        {"P02", byte_by_byte},
        {"P03", three_in_one},
        {"P04", in_order},
        {"P05", slow_reader},
        {"P06", half_close},
        {"P07", resets},
        {"P08", gone_before_accept},
        {"P09", writing_to_the_gone},
        {"P10", signal_storm},
        {"P11", descriptors_return},
        {"P12", no_zombies},
        {"P13", over_long_line},
        {"P14", silent_first, silent_first_limit},
        {"P15", one_sleeps, one_sleeps_limit},
        {"P16", never_reader, never_reader_limit},
        {"P17", bounded_memory},
        {"P18", many_callers, many_callers_limit},
        {"P19", descriptor_limit},
        {"P20", idle_caller},
        {"P21", goodbye_on_sigterm},
        {"P22", exact_count},
        {"P23", crash_harms_one, crash_harms_one_limit},
        {"P24", said_lines, said_lines_limit},
    };
    return all;
}

Server start(const Ground& ground, const std::vector<std::string>& arguments,
             const ServerOptions& options) {
    std::vector<std::string> command = ground.command;
    command.insert(command.end(), arguments.begin(), arguments.end());
    return Server(std::move(command), options);
}

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

std::string duration(Seconds time) {
    if (time >= Seconds(1)) return spelled(time);
    return std::to_string(static_cast<int>(time.count() * 1000)) + " ms";
}
