// The checks of exercise 02/reception.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

namespace {

void expect_line(Caller& caller, int number, const std::string& line = "hey") {
    caller.send(line + '\n');
    caller.expect(std::to_string(number) + ' ' + line + '\n');
}

// Whatever number the line has.
void expect_heard(Caller& caller) {
    caller.send("hey\n");
    caller.expect_line_like("* hey");
}

// What happens between the two is one moment to the server: it sees all of it at once.
void freeze(Server& server) {
    wait_until_asleep(server);
    server.signal(SIGSTOP);
    for (const Deadline deadline = scaled(usual); !deadline.passed();) {
        if (threads_of(server.pid()).at(0).state == 'T') return;
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // between two looks
    }
}
void thaw(Server& server) {
    server.signal(SIGCONT);
    wait_until_asleep(server); // in select()
}

} // namespace

TEST_CASE("lines") {
    Server server = start();
    Caller a = server.call("A");
    Caller b = server.call("B");
    a.send("one\ntw");
    a.expect("1 one\n");
    expect_line(b, 1);
    a.send("o\nthree\n");
    a.expect("2 two\n3 three\n");
}

TEST_CASE("leaver") {
    Server server = start();
    Caller a = server.call("A");
    Caller b = server.call("B");
    expect_line(a, 1);
    expect_line(b, 1);
    a.half_close();
    a.expect_end();
    expect_line(b, 2);
}

TEST_CASE("stranger") {
    Server server = start();
    Caller b = server.call("B");
    expect_line(b, 1);
    b.send("my secr");
    b.half_close();
    b.expect_end();
    Caller c = server.call("C");
    expect_line(c, 1, "hello");
}

TEST_CASE("same_moment") {
    Server server = start();
    Caller a = server.call("A");
    Caller b = server.call("B");
    expect_heard(a);
    expect_heard(b);
    freeze(server);
    b.close();
    Caller c = server.call("C");
    thaw(server);
    expect_heard(a);
    expect_heard(c);
}

TEST_CASE("resetter") {
    Server server = start();
    Caller a = server.call("A");
    expect_heard(a);
    Caller rude = server.call("R");
    expect_heard(rude);
    rude.reset();
    expect_heard(a);
    Caller next = server.call("N");
    expect_heard(next);
}

// Three streams, the listener, and room for four.
TEST_CASE("full_house") {
    Server server = start(ServerOptions{.limits = {{RLIMIT_NOFILE, 8}}});
    std::vector<Caller> guests;
    for (const char* const name : {"A", "B", "C", "D"}) {
        guests.push_back(server.call(name));
        expect_heard(guests.back());
    }
    Caller fifth = server.call("E");
    fifth.send("hey\n");
    expect_heard(guests[0]);
    expect_rest(server);
    guests[1].close();
    fifth.expect_line_like("* hey");
    expect_heard(guests[0]);
}
