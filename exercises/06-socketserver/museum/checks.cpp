// The checks of exercise 06/museum.
#include "exercise.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

Caller inside(Server& server, const std::string& name) {
    Caller visitor = server.call(name);
    visitor.expect("your name?\n");
    return visitor;
}

void expect_to_see(Caller& visitor, const std::string& name, const std::string& thing) {
    visitor.send(thing + '\n');
    visitor.expect(name + " sees " + thing + '\n');
}

// A place is free soon after somebody has left: the server may notice it a little later.
Caller let_in(Server& server, const std::string& name) {
    const Deadline deadline = scaled(usual);
    while (true) {
        Caller visitor = server.call(name);
        pollfd news{visitor.fd(), POLLIN, 0};
        ::poll(&news, 1, deadline.milliseconds());
        if (deadline.passed() || visitor.hears_now("your name?\n")) {
            visitor.expect("your name?\n");
            return visitor;
        }
        std::this_thread::sleep_for(20ms); // between two knocks
    }
}

} // namespace

TEST_CASE("tour") {
    Server server = start();
    Caller a = inside(server, "A");
    a.send("Ann\n");
    expect_to_see(a, "Ann", "a vase");
    expect_to_see(a, "Ann", "a coin");
    a.half_close();
    a.expect_end();
}

TEST_CASE("together") {
    Server server = start();
    Caller a = inside(server, "A");
    a.send("Ann\n");
    Caller b = inside(server, "B");
    b.send("Ben\nspoon\n");
    b.expect("Ben sees spoon\n");
    expect_to_see(a, "Ann", "a vase");
}

TEST_CASE("full") {
    Server server = start();
    Caller a = inside(server, "A");
    a.send("Ann\n");
    const Caller b = inside(server, "B");
    Caller c = server.call("C");
    c.expect_end();
    a.close();
    const Caller d = let_in(server, "D");
    wait_until_asleep(server);
    Caller e = server.call("E");
    e.expect_end();
}

TEST_CASE("nameless") {
    Server server = start();
    for (const char* const name : {"A", "B", "C"}) {
        Caller shy = let_in(server, name);
        shy.half_close();
        shy.expect_end();
    }
    const Caller d = let_in(server, "D");
}

TEST_CASE("touch") {
    Server server = start();
    for (const char* const name : {"A", "B", "C"}) {
        Caller curious = let_in(server, name);
        curious.send("Cid\ntouch\n");
        curious.expect_end();
    }
    const Caller d = let_in(server, "D");
}

TEST_CASE("evening") {
    Server server = start();
    Caller a = inside(server, "A");
    wait_until_asleep(server);
    server.signal(SIGTERM);
    a.expect_end();
    CHECK(server.wait_exit() == 0);
}
