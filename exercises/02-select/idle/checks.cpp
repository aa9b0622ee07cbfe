// The checks of exercise 02/idle.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>

using namespace std::chrono_literals;

namespace {

void expect_echo(Caller& caller) {
    caller.send("hey\n");
    caller.expect("hey\n");
}

// A habit of callers, not a wait for something.
void pause(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
}

} // namespace

TEST_CASE("lines") {
    Server server = start({"60000"});
    Caller a = server.call("A");
    a.send("one\ntwo\nth");
    a.expect("one\ntwo\n");
    a.send("ree\n");
    a.expect("three\n");
}

TEST_CASE("silent") {
    Server server = start({"500"});
    Caller a = server.call("A");
    a.expect_silence(300ms);
    a.expect_end(1s);
}

TEST_CASE("lively") {
    Server server = start({"800"});
    Caller a = server.call("A");
    for (int i = 0; i < 8; ++i) {
        pause(200ms);
        expect_echo(a);
    }
}

TEST_CASE("drip") {
    Server server = start({"500"});
    Caller a = server.call("A");
    for (int i = 0; i < 20 && !a.has_news(); ++i) {
        a.send_some("x");
        pause(100ms);
    }
    a.expect_gone(100ms);
}

TEST_CASE("busy_room") {
    Server server = start({"500"});
    Caller lively = server.call("L");
    Caller silent = server.call("S");
    for (int i = 0; i < 20 && !silent.has_news(); ++i) {
        expect_echo(lively);
        pause(100ms);
    }
    silent.expect_end(100ms);
    expect_echo(lively);
}

// The second one comes when four fifths of the first one's time are over.
TEST_CASE("two_clocks") {
    Server server = start({"1000"});
    Caller a = server.call("A");
    pause(800ms);
    Caller b = server.call("B");
    a.expect_end(600ms);
    b.expect_end(1400ms);
}

TEST_CASE("slow_machine") {
    Server server = start({"500"});
    Caller a = server.call("A");
    expect_echo(a);
    wait_until_asleep(server);
    server.signal(SIGSTOP);
    a.send("hey\n");
    pause(700ms);
    server.signal(SIGCONT);
    a.expect("hey\n");
}

TEST_CASE("rest") {
    Server server = start({"60000"});
    expect_rest(server);
    Caller a = server.call("A");
    Caller b = server.call("B");
    expect_echo(a);
    expect_rest(server);
}
