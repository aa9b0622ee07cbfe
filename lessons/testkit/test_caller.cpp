// A caller's habits and expectations, against a server that echoes lines and has no fault.
#include "caller.hpp"
#include "step.hpp"

#include <doctest/doctest.h>

#include <future>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

struct Line {
    explicit Line(const char* fault = "") : server({steps().folder / "faulty_server", fault}) {}
    Server server;
    Caller a = server.call("A");
};

// The code with which something fails, or "pass".
std::string code(const auto& talk) {
    try {
        talk();
    } catch (const Unexpected& unexpected) {
        return unexpected.code();
    }
    return "pass";
}

const Seconds moment = Seconds(0.2) / timeout_scale();

} // namespace

TEST_CASE("what is not asked for yet stays for later") {
    Line line;
    line.a.send("one\ntwo\nthree\n");
    line.a.expect("on");
    CHECK(line.a.expect_line() == "e");
    CHECK(line.a.expect_line_like("t*o") == "two");
    const Deadline deadline = scaled(5s);
    while (!line.a.has_news() && !deadline.passed())
        std::this_thread::yield();
    CHECK(line.a.hears_now("thr"));
    CHECK_FALSE(line.a.hears_now("two"));
    CHECK(line.a.read_exactly(3) == "thr");
    line.a.half_close();
    CHECK(line.a.read_to_end(100) == "ee\n");
}

TEST_CASE("a pattern's star is any text, and all else is itself") {
    Line line;
    const auto fits = [&](const std::string& text, const char* pattern) {
        line.a.send(text + '\n');
        return code([&] { line.a.expect_line_like(pattern); }) == "pass";
    };
    CHECK(fits("Welcome to 10086, x, pid 1, thread 2", "Welcome to 10086, *, pid *, thread *"));
    CHECK(fits("", "*"));
    CHECK(fits("a?[b]", "a?[b]"));
    CHECK(fits("aXbXb", "a*b"));
    CHECK_FALSE(fits("ab", "a*bc"));
    CHECK_FALSE(fits("abc", "ab"));
}

TEST_CASE("an answer that is long or bytes of any kind") {
    Line line;
    std::string text;
    for (int i = 0; i < 300'000; ++i)
        text += static_cast<char>(i * 7 % 251);
    text += '\n';
    auto asking = std::async(std::launch::async, [&] { line.a.send(text); });
    line.a.expect(text);
    asking.get();
}

TEST_CASE("silence is expected for so long, and an end is no silence") {
    Line line;
    line.a.expect_silence(50ms);
    line.a.send("hello\n");
    CHECK(code([&] { line.a.expect_silence(2s); }) == "extra_bytes");
    line.a.expect("hello\n");
    line.a.half_close();
    CHECK(code([&] { line.a.expect_silence(2s); }) == "eof:early");
}

TEST_CASE("an answer's time runs from the last thing said") {
    Line line;
    std::this_thread::sleep_for(100ms); // time that must not count
    const auto begin = Clock::now();
    line.a.send("hello\n");
    line.a.expect("hello\n");
    CHECK(line.a.waited() >= 0s);
    CHECK(line.a.waited() <= Clock::now() - begin);
}

TEST_CASE("a server that does not read blocks who sends") {
    const std::string much(8'000'000, 'x');
    Line line("does not watch the caller");
    CHECK(code([&] { line.a.send(much, moment); }) == "send_blocked");
    Line other("does not watch the caller");
    while (other.a.send_some(much) > 0) {
    }
    CHECK(other.server.alive());
}

TEST_CASE("the end, too much, and neither") {
    Line line;
    CHECK(code([&] { line.a.expect_end(moment); }) == "no_eof");
    CHECK(code([&] { line.a.expect_gone(moment); }) == "no_eof");
    CHECK(code([&] { line.a.read_to_end(10, moment); }) == "no_eof");
    line.a.send("hello\n");
    CHECK(code([&] { line.a.expect_end(); }) == "extra_bytes");
    CHECK(code([&] { line.a.read_exactly(100, moment); }) == "timeout:partial");
    line.a.half_close();
    CHECK(code([&] { line.a.read_to_end(3); }) == "extra_bytes");
    CHECK(line.a.read_to_end(6) == "hello\n");

    Line endless("never stops talking");
    endless.a.send("hello\n");
    CHECK(code([&] { endless.a.read_to_end(100'000); }) == "extra_bytes");
    CHECK(code([&] { endless.a.expect_gone(moment); }) == "no_eof");
}

TEST_CASE("a reset is told from an end") {
    Line line("resets");
    line.a.half_close();
    CHECK(code([&] { line.a.expect("more"); }) == "reset");
    Line gone("resets");
    gone.a.half_close();
    gone.a.expect_gone();
}

TEST_CASE("a server that is gone refuses") {
    Line line;
    line.server.kill();
    line.a.expect_gone();
    CHECK(code([&] { line.server.call("B"); }) == "refused");
}

TEST_CASE("callers come from where they say, with the buffer they ask for") {
    Line line("writes much");
    Caller b = line.server.call("B", {.from = "127.0.0.9", .receive_buffer = 4096});
    b.send("hello\n");
    b.stop_reading();
    bool seen = false;
    const Deadline deadline = scaled(5s);
    while (!seen && !deadline.passed())
        for (const TcpRow& row : tcp_rows())
            if (row.local_port == b.local_port() && row.remote_port == line.server.port())
                seen = row.unread > 0 && row.unread < 65'536;
    CHECK(seen);
    const std::string story = line.server.story().so_far();
    CHECK(story.find("from 127.0.0.9") != std::string::npos);
}
