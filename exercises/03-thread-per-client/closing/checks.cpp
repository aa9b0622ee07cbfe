// The checks of exercise 03/closing.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <vector>

using namespace std::chrono_literals;

namespace {

void expect_echo(Caller& caller) {
    caller.send("hey\n");
    caller.expect("hey\n");
}

// Says as much as the kernel takes, and reads nothing, until the thread sleeps in send() and leaves
// some unread. Returns all that was said.
std::string stuff(Server& server, Caller& caller) {
    std::string more;
    for (int i = 0; more.size() < 1'000'000; ++i)
        more += std::to_string(i) + ' ';
    std::string said;
    while (unread_bytes(server, caller) == 0) {
        said += more.substr(0, caller.send_some(more));
        wait_until_asleep(server);
    }
    return said;
}

} // namespace

TEST_CASE("conversation") {
    Server server = start();
    Caller a = server.call("A");
    Caller b = server.call("B");
    expect_echo(b);
    expect_echo(a);
    a.half_close();
    a.expect_end();
    expect_echo(b);
}

TEST_CASE("nobody_there") {
    Server server = start();
    {
        Caller a = server.call("A");
        expect_echo(a);
    }
    wait_until_asleep(server);
    server.stop();
}

TEST_CASE("silent") {
    Server server = start();
    std::vector<Caller> callers;
    for (int i = 1; i <= 20; ++i) {
        callers.push_back(server.call(std::to_string(i)));
        expect_echo(callers.back());
    }
    wait_until_asleep(server);
    server.stop(3s);
    for (Caller& caller : callers)
        caller.expect_end();
}

TEST_CASE("last_order") {
    Server server = start();
    Caller a = server.call("A", {.receive_buffer = 262'144});
    const std::string said = stuff(server, a);
    server.signal(SIGTERM);
    wait_until_asleep(server);
    a.expect(said);
    a.expect_end();
    CHECK(server.wait_exit(3s) == 0);
}

TEST_CASE("never_reader") {
    Server server = start();
    Caller a = server.call("A", {.receive_buffer = 65'536});
    a.stop_reading();
    stuff(server, a);
    server.stop(3s);
}

// With room for some stacks of 8 MB, and not for four hundred.
TEST_CASE("all_day") {
    Server server = start(ServerOptions{.limits = {{RLIMIT_AS, rlim_t{2} << 30}}});
    for (int i = 1; i <= 400; ++i) {
        Caller caller = server.call(std::to_string(i));
        expect_echo(caller);
    }
    Caller last = server.call("last");
    expect_echo(last);
}
