// The checks of exercise 04/inn.
#include "exercise.hpp"

#include "proc.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <list>
#include <thread>
#include <vector>

namespace {

Caller guest(Server& server, const std::string& name) {
    Caller caller = server.call(name);
    caller.send("hey");
    caller.expect("hey");
    return caller;
}

void leave(Caller& guest) {
    guest.half_close();
    guest.expect_end();
}

// No child and no zombie is left.
void expect_empty(Server& server) {
    Counts none = server.counts();
    none.children = 0;
    none.zombies = 0;
    server.settle(none);
}

// Looks again and again until something holds, or until it is too late.
void wait_until(const auto& holds) {
    const Deadline deadline = scaled(usual);
    while (!holds() && !deadline.passed())
        std::this_thread::sleep_for(std::chrono::milliseconds(2)); // between two looks
}

bool stands_still(const Server& server) {
    const std::vector<Process> tree = tree_of(server.pid());
    return !tree.empty() && tree.front().state == 'T';
}

} // namespace

TEST_CASE("goodbye") {
    Server server = start();
    Caller a = guest(server, "A");
    leave(a);
}

TEST_CASE("many_guests") {
    Server server = start(ServerOptions{.limits = {{RLIMIT_NOFILE, 12}}});
    for (int i = 1; i <= 30; ++i) {
        Caller one = guest(server, std::to_string(i));
        one.close();
    }
}

TEST_CASE("one_leaves") {
    Server server = start();
    {
        Caller a = guest(server, "A");
        wait_until_asleep(server);
        a.close();
    }
    expect_empty(server);
    guest(server, "B").close();
    expect_empty(server);
}

// They leave while the innkeeper looks elsewhere: that is SIGCHLD twenty times, and it hears one.
TEST_CASE("all_at_once") {
    Server server = start();
    std::list<Caller> guests;
    for (int i = 1; i <= 20; ++i)
        guests.push_back(guest(server, std::to_string(i)));
    wait_until_asleep(server);
    server.signal(SIGSTOP);
    wait_until([&] { return stands_still(server); });
    guests.clear();
    wait_until([&] { return server.children() == 0; });
    server.signal(SIGCONT);
    expect_empty(server);
}

TEST_CASE("neighbour") {
    Server server = start();
    Caller a = guest(server, "A");
    Caller b = guest(server, "B");
    b.close();
    wait_until([&] { return server.children() == 1; });
    a.send("still here");
    a.expect("still here");
}

TEST_CASE("fire") {
    Server server = start();
    Caller a = guest(server, "A");
    server.signal(SIGKILL);
    server.wait_exit();
    for (const TcpRow& row : tcp_rows())
        if (row.local_port == server.port() && row.state == tcp_listen)
            server.fail(Outcome::port_not_reusable,
                        "the innkeeper is dead, and somebody still listens on their port");
}

TEST_CASE("closing_time") {
    Server server = start();
    const Caller a = guest(server, "A");
    const Caller b = guest(server, "B");
    wait_until_asleep(server);
    server.stop();
}
