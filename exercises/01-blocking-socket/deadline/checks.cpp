// The checks of exercise 01/deadline.
#include "exercise.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>

using namespace std::chrono_literals;

namespace {

void expect_service(Server& server, const std::string& name) {
    Caller caller = server.call(name);
    caller.send("next\n");
    caller.expect("NEXT\n");
}

} // namespace

TEST_CASE("conversation") {
    Server server = start();
    Caller a = server.call("A");
    a.send("one\ntwo\nthree\n");
    a.expect("ONE\nTWO\nTHREE\n");
    a.send("four\n");
    a.expect("FOUR\n");
}

TEST_CASE("line_in_pieces") {
    Server server = start();
    Caller a = server.call("A");
    a.send("hel");
    a.expect_silence(500ms);
    a.send("lo\n");
    a.expect("HELLO\n");
}

TEST_CASE("silent_caller") {
    Server server = start();
    Caller silent = server.call("S");
    silent.expect_end(1500ms);
    expect_service(server, "N");
}

// For longer than the second, and for no longer than the server listens.
TEST_CASE("drip") {
    Server server = start();
    Caller drip = server.call("D");
    for (int i = 0; i < 12 && !drip.has_news(); ++i) {
        drip.send("x");
        pollfd news{drip.fd(), POLLIN, 0};
        ::poll(&news, 1, 200); // the habit under test: a fifth of a second between two bytes
    }
    drip.expect_gone(100ms);
    expect_service(server, "N");
}

TEST_CASE("long_conversation") {
    Server server = start();
    Caller a = server.call("A");
    for (int i = 0; i < 3; ++i) {
        a.expect_silence(600ms);
        a.send("hello\n");
        a.expect("HELLO\n");
    }
}
