// The checks of exercise 06/stations: what is seen of the lesson's own programs.
#include "exercise.hpp"
#include "sender.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>

using namespace std::chrono_literals;

namespace {

Server server_in_mode(const std::string& mode) {
    return step(11, {"--mode", mode});
}

bool hears_something(const Caller& caller, std::chrono::milliseconds within) {
    pollfd news{caller.fd(), POLLIN, 0};
    return ::poll(&news, 1, static_cast<int>(within.count())) > 0;
}

// B calls while A is on the line and says nothing.
std::string when_b_is_greeted(Server& server) {
    Caller a = greeted(server, "A");
    wait_until_asleep(server);
    Caller b = server.call("B");
    wait_until_asleep(server);
    const bool at_once = hears_something(b, 300ms);
    if (!at_once) a.close();
    b.expect_line_like("Welcome*");
    return at_once ? "at once" : "when A has left";
}

// A's handler crashes, and B asks for something.
std::string what_becomes_of_b(Server& server) {
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("crash\n");
    a.expect_gone();
    b.send_some("0\n");
    hears_something(b, 2s);
    if (b.hears_now("0000\n")) return "answered";
    server.expect_crash();
    return "cut off";
}

} // namespace

TEST_CASE("second_list") {
    const Guess guess("second_list", {"server_bind", "get_request", "shutdown_request"});
    Server server = step(2);
    Caller a = server.call("A");
    a.read_to_end(1000);
    Caller b = server.call("B");
    guess.meets(b.expect_line(), server);
}

TEST_CASE("constructor") {
    const Guess guess("constructor", {"EagerBase", "EagerHandler"});
    Server program = step(3, {"eager"}, {.ready = Ready::at_once});
    program.wait_exit();
    const bool base = program.out().starts_with("called by the constructor: EagerBase");
    guess.meets(base ? "EagerBase" : "EagerHandler", program);
}

TEST_CASE("stays") {
    const Guess guess("stays", {"TWO", "the end"});
    Server server = step(3);
    Caller a = server.call("A");
    a.send("one\n");
    a.expect("ONE\n");
    guess.meets(hears_something(a, 2s) ? "the end" : "TWO", server);
}

TEST_CASE("datagrams") {
    const Guess guess("datagrams", {"HEL and LO", "HELLO"});
    Server server = step(5);
    Sender a(server, "A");
    a.send("hel");
    a.send("lo\n");
    guess.meets(a.hear() == "HEL" ? "HEL and LO" : "HELLO", server);
}

TEST_CASE("second_plain") {
    const Guess guess("second_plain", {"at once", "when A has left"});
    Server server = server_in_mode("plain");
    guess.meets(when_b_is_greeted(server), server);
}

TEST_CASE("second_threading") {
    const Guess guess("second_threading", {"at once", "when A has left"});
    Server server = server_in_mode("threading");
    guess.meets(when_b_is_greeted(server), server);
}

TEST_CASE("counts") {
    const Guess guess("counts", {"1 and 1", "1 and 2"});
    Server server = server_in_mode("forking");
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("count\n");
    const std::string first = a.expect_line();
    b.send("count\n");
    guess.meets(first + " and " + b.expect_line(), server);
}

TEST_CASE("crash_threading") {
    const Guess guess("crash_threading", {"answered", "cut off"});
    Server server = server_in_mode("threading");
    guess.meets(what_becomes_of_b(server), server);
}

TEST_CASE("crash_forking") {
    const Guess guess("crash_forking", {"answered", "cut off"});
    Server server = server_in_mode("forking");
    guess.meets(what_becomes_of_b(server), server);
}

TEST_CASE("refused") {
    const Guess guess("refused", {"yes", "no"});
    Server server = step(10);
    Caller a =
        server.call("A", {.from = "127.0.0.13"}); // Who cannot connect does not come by here.
    a.expect_end();
    guess.meets("yes", server);
}

TEST_CASE("after_stop") {
    const Guess guess("after_stop", {"HELLO", "the end"});
    Server server = step(9);
    Caller a = server.call("A");
    a.expect("Say it, I shout it\n");
    a.send("stop\n");
    wait_until_asleep(server);
    a.send_some("hello\n");
    hears_something(a, 2s);
    guess.meets(a.hears_now("HELLO\n") ? "HELLO" : "the end", server);
}
