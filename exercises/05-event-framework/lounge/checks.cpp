// The checks of exercise 05/lounge.
#include "exercise.hpp"
#include "proc.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

namespace {

// Guests are numbered in the order in which they come.
Caller guest(Server& server, const std::string& name, int number) {
    Caller caller = server.call(name);
    caller.expect("you are " + std::to_string(number) + '\n');
    return caller;
}

void stop_the_clock(Server& server) {
    wait_until_asleep(server);
    server.signal(SIGSTOP);
    const Deadline deadline = scaled(usual);
    while (tree_of(server.pid()).front().state != 'T' && !deadline.passed())
        std::this_thread::sleep_for(std::chrono::milliseconds(2)); // between two looks
}

} // namespace

TEST_CASE("heard") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    Caller b = guest(server, "B", 2);
    a.send("hi\n");
    a.expect("1: hi\n");
    b.expect("1: hi\n");
    b.send("hello\n");
    a.expect("2: hello\n");
    b.expect("2: hello\n");
}

TEST_CASE("two_in_one") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    a.send("one\ntwo\n");
    a.expect("1: one\n1: two\n");
}

TEST_CASE("in_pieces") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    a.send("hel");
    wait_until_asleep(server);
    a.send("lo\n");
    a.expect("1: hello\n");
}

TEST_CASE("says_bye") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    Caller b = guest(server, "B", 2);
    a.send("bye\n");
    a.expect("goodbye\n");
    a.expect_end();
    b.expect("1 has left\n");
    b.send("alone\n");
    b.expect("2: alone\n");
}

TEST_CASE("hangs_up") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    Caller b = guest(server, "B", 2);
    a.close();
    b.expect("1 has left\n");
    b.send("alone\n");
    b.expect("2: alone\n");
}

TEST_CASE("bye_and_more") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    Caller b = guest(server, "B", 2);
    a.send("hi\nbye\nmore\n");
    b.expect("1: hi\n1 has left\n");
    b.send("alone\n");
    b.expect("2: alone\n");
}

// When the server wakes, A has spoken and B is gone, and A's turn is first: so B is found missing in
// the middle of what all are told. A stands before B in the row, C behind.
TEST_CASE("gone_meanwhile") {
    Server server = start();
    Caller a = guest(server, "A", 1);
    Caller b = guest(server, "B", 2);
    Caller c = guest(server, "C", 3);
    stop_the_clock(server);
    a.send("hi\n");
    b.reset();
    server.signal(SIGCONT);
    a.expect("1: hi\n2 has left\n");
    const std::string first = c.expect_line();
    const std::string second = c.expect_line();
    CHECK((first + second == "1: hi2 has left" || first + second == "2 has left1: hi"));
    c.send("two of us\n");
    a.expect("3: two of us\n");
}
