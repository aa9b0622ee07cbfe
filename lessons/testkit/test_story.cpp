// How a failure reads: the very text, with times and process numbers masked.
#include "caller.hpp"
#include "evidence.hpp"
#include "step.hpp"
#include "story.hpp"

#include <doctest/doctest.h>

#include <regex>
#include <string>

using namespace std::chrono_literals;

namespace {

std::string masked(std::string text) {
    const auto replace = [&](const char* what, const char* with) {
        text = std::regex_replace(text, std::regex(what), with);
    };
    replace(R"(t=\d+\.\d{3})", "t=#.###");
    replace(R"(pid \d+)", "pid #");
    replace(R"(127\.0\.0\.1:\d+)", "127.0.0.1:#");
    return text;
}

std::string told(const char* fault, const auto& talk) {
    try {
        Server server({steps().folder / "faulty_server", fault});
        talk(server);
    } catch (const Unexpected& unexpected) {
        return masked(unexpected.what());
    }
    return "passes";
}

} // namespace

TEST_CASE("bytes are quoted, escaped and shortened") {
    CHECK(in_quotes("hi\n") == R"("hi\n")");
    CHECK(in_quotes(std::string_view("\0\x7f\xff\"\\\r\t", 7)) == R"("\x00\x7f\xff\"\\\r\t")");
    CHECK(in_quotes(std::string(40, 'x')) == '"' + std::string(40, 'x') + '"');
    CHECK(in_quotes(std::string(5000, 'x') + "the end\n") ==
          '"' + std::string(24, 'x') + R"("..."the end\n")");
    CHECK(in_quotes("") == "\"\"");
}

TEST_CASE("numbers read well") {
    CHECK(counted(1, "byte") == "1 byte");
    CHECK(counted(0, "byte") == "0 bytes");
    CHECK(counted(5'000'000, "byte") == "5,000,000 bytes");
    CHECK(counted(999, "process", "processes") == "999 processes");
    CHECK(spelled(1500ms) == "1.5 s");
}

TEST_CASE("hex rows point at the first wrong byte") {
    CHECK(hex_rows("leh\n", "olleh\n") == "             got   6c 65 68 0a          | leh.\n"
                                          "             want  6f 6c 6c 65 68 0a    | olleh.\n"
                                          "                   ^^ first difference at byte 0\n");
    CHECK(hex_rows("0123456789abcdefgX", "0123456789abcdefgh") ==
          "             got   67 58    | gX\n"
          "             want  67 68    | gh\n"
          "                      ^^ first difference at byte 17\n");
    CHECK(hex_rows("ab", "abc").find("first difference at byte 2") != std::string::npos);
}

TEST_CASE("a long story keeps its beginning and its end") {
    Story story;
    for (int i = 0; i < 1000; ++i)
        story.tell("A", "step " + std::to_string(i));
    const std::string text = story.so_far();
    CHECK(text.find("step 11\n") != std::string::npos);
    CHECK(text.find("step 12\n") == std::string::npos);
    CHECK(text.find("... 940 steps not shown ...\n") != std::string::npos);
    CHECK(text.find("step 952\n") != std::string::npos);
    CHECK(text.find("step 999\n") != std::string::npos);
}

TEST_CASE("the story of a wrong answer") {
    CHECK(told("swaps a byte", [](Server& server) {
              Caller b = server.call("B", {.from = "127.0.0.3"});
              b.send("hello\n");
              b.expect("hello\n");
          }) == R"(caller B expected "hello\n" and received "Zello\n"  (wrong_bytes)

  t=#.###  [server]    starts faulty_server 'swaps a byte'  pid #
  t=#.###  [server]    listens on 127.0.0.1:#
  t=#.###  [caller B]  connects                             from 127.0.0.3
  t=#.###  [caller B]  sends "hello\n"                      6 bytes
  t=#.###  [caller B]  expects "hello\n"                    received "Zello\n"

             got   5a 65 6c 6c 6f 0a    | Zello.
             want  68 65 6c 6c 6f 0a    | hello.
                   ^^ first difference at byte 0
)");
}

TEST_CASE("the story of a caller who waits for another one") {
    const Seconds one_second = Seconds(0.5) / timeout_scale();
    const std::string story = told("one at a time", [&](Server& server) {
        const Caller a = server.call("A");
        Caller b = server.call("B");
        b.send("hi\n");
        b.expect("hi\n", one_second);
    });
    CHECK(story == "caller B waited " + spelled(one_second) +
                       R"( for "hi\n" and received nothing  (timeout:none)

  t=#.###  [server]    starts faulty_server 'one at a time'  pid #
  t=#.###  [server]    listens on 127.0.0.1:#
  t=#.###  [caller A]  connects
  t=#.###  [caller B]  connects
  t=#.###  [caller B]  sends "hi\n"                          3 bytes
  t=#.###  [caller B]  waited )" +
                       spelled(one_second) + R"( for "hi\n"               received nothing

  Why (seen from outside, at t=#.###):
    caller B is connected only in the kernel: 1 connection waits in the accept queue, with 3 unread
    bytes. The server has 1 thread, and it is inside recv(fd 4) = caller A: it is not calling
    accept().
)");
}
