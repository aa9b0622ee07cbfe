// The checks of exercise 06/doorman. Where a refusal is expected the time is a minute, so that no
// machine is too slow for it.
#include "exercise.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

Caller let_in(Server& server, const std::string& name, const std::string& from = "") {
    Caller caller = server.call(name, {.from = from});
    caller.expect("come in\n");
    return caller;
}

void expect_echo(Caller& caller) {
    caller.send("hey\n");
    caller.expect("hey\n");
}

// Calls and leaves, again and again, until they are let in.
void knock(Server& server) {
    const Deadline deadline = scaled(3s);
    while (true) {
        Caller caller = server.call("K");
        pollfd news{caller.fd(), POLLIN, 0};
        ::poll(&news, 1, deadline.milliseconds());
        if (deadline.passed() || caller.hears_now("come in\n")) return caller.expect("come in\n");
        std::this_thread::sleep_for(50ms); // between two knocks
    }
}

} // namespace

TEST_CASE("let_in") {
    Server server = start({"3", "60"});
    std::vector<Caller> callers;
    for (const char* const name : {"A", "B", "C"})
        callers.push_back(let_in(server, name));
    for (Caller& caller : callers)
        expect_echo(caller);
}

TEST_CASE("one_more") {
    Server server = start({"2", "60"});
    Caller a = let_in(server, "A");
    Caller b = let_in(server, "B");
    Caller refused = server.call("C");
    refused.expect_end();
    expect_echo(a);
    expect_echo(b);
}

TEST_CASE("others") {
    Server server = start({"1", "60"});
    Caller a = let_in(server, "A");
    Caller b = let_in(server, "B", "127.0.0.2");
    Caller c = let_in(server, "C", "127.0.0.11");
    expect_echo(b);
}

TEST_CASE("left") {
    Server server = start({"2", "60"});
    for (const char* const name : {"A", "B"}) {
        Caller caller = let_in(server, name);
        caller.half_close();
        caller.expect_end();
    }
    wait_until_asleep(server);
    Caller refused = server.call("C");
    refused.expect_end();
}

TEST_CASE("later") {
    Server server = start({"2", "1"});
    Caller a = let_in(server, "A");
    Caller b = let_in(server, "B");
    b.expect_silence(1100ms);
    Caller c = let_in(server, "C");
    expect_echo(c);
}

TEST_CASE("impatient") {
    Server server = start({"1", "1"});
    for (int i = 0; i < 2; ++i)
        knock(server);
}
