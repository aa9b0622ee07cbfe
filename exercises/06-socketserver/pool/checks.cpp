// The checks of exercise 06/pool.
#include "exercise.hpp"
#include "sender.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

void expect_echo(Caller& caller) {
    caller.send("hey\n");
    caller.expect("hey\n");
}

Caller served(Server& server, const std::string& name) {
    Caller caller = server.call(name);
    expect_echo(caller);
    return caller;
}

void expect_in_log(Server& server, const std::string& line) {
    const Deadline deadline = scaled(usual);
    while (server.log().find(line) == std::string::npos) {
        if (deadline.passed())
            server.fail(Outcome::wrong_bytes, "handle_error() was not told what was thrown");
        std::this_thread::sleep_for(1ms); // between two looks
    }
}

} // namespace

// Both threads wait already when A comes: so somebody has to wake one.
TEST_CASE("conversation") {
    Server server = start();
    wait_until_asleep(server);
    Caller a = served(server, "A");
    expect_echo(a);
    a.half_close();
    a.expect_end();
}

TEST_CASE("at_once") {
    Server server = start();
    Caller a = served(server, "A");
    Caller b = served(server, "B");
    expect_echo(a);
}

TEST_CASE("third_waits") {
    Server server = start();
    wait_until_asleep(server);
    const int threads = server.threads();
    Caller a = served(server, "A");
    Caller b = served(server, "B");
    Caller c = server.call("C");
    Caller d = server.call("D");
    c.send("hey\n");
    d.send("hey\n");
    wait_until_asleep(server);
    if (server.threads() > threads)
        server.fail(Outcome::leak_threads, "there are more than two threads that work");
    c.expect_silence(200ms);
    a.close();
    c.expect("hey\n");
    b.close();
    d.expect("hey\n");
}

// One more than there are threads.
TEST_CASE("throws") {
    Server server = start();
    for (const char* const name : {"A", "B", "C"}) {
        Caller thrower = server.call(name);
        thrower.send("throw\n");
        thrower.expect_end();
    }
    const Caller d = served(server, "D");
    expect_in_log(server, "lost a caller: the handler was asked to throw");
}

TEST_CASE("datagrams") {
    Server server = start({"datagrams"});
    Sender a(server, "A");
    Sender b(server, "B");
    for (const char* const said : {"hey\n", "", "one\ntwo\n"}) {
        a.send(said);
        a.expect(said);
        b.send(said);
        b.expect(said);
    }
}

TEST_CASE("end") {
    Server server = start();
    Caller a = served(server, "A");
    Caller b = served(server, "B");
    Caller c = server.call("C");
    wait_until_asleep(server);
    server.stop();
    a.expect_end();
    b.expect_end();
    c.expect_gone(); // They may still have waited at the door.
}
