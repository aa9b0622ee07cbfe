// The checks of exercise 03/chairs.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

Caller seated(Server& server, const std::string& name) {
    Caller caller = server.call(name);
    caller.expect("sit down\n");
    return caller;
}

std::vector<Caller> four(Server& server) {
    std::vector<Caller> callers;
    for (const char* const name : {"A", "B", "C", "D"})
        callers.push_back(seated(server, name));
    return callers;
}

std::vector<Caller> twelve_call(Server& server) {
    std::vector<Caller> callers;
    for (int i = 1; i <= 12; ++i)
        callers.push_back(server.call(std::to_string(i)));
    return callers;
}

void expect_echo(Caller& caller) {
    caller.send("hey\n");
    caller.expect("hey\n");
}

} // namespace

TEST_CASE("conversation") {
    Server server = start();
    Caller a = seated(server, "A");
    expect_echo(a);
    expect_echo(a);
    a.half_close();
    a.expect_end();
}

TEST_CASE("four_at_once") {
    Server server = start();
    std::vector<Caller> callers = four(server);
    for (Caller& caller : callers)
        expect_echo(caller);
}

TEST_CASE("fifth_waits") {
    Server server = start();
    const std::vector<Caller> callers = four(server);
    Caller fifth = server.call("E");
    fifth.send("hey\n");
    wait_until_asleep(server);
    fifth.expect_silence(200ms);
}

TEST_CASE("next_please") {
    Server server = start();
    std::vector<Caller> callers = four(server);
    Caller fifth = server.call("E");
    wait_until_asleep(server);
    callers[2].close();
    fifth.expect("sit down\n");
    expect_echo(fifth);
    expect_echo(callers[0]);
}

// They call while the server is stopped. So all of them are there when it looks.
TEST_CASE("rush") {
    Server server = start();
    wait_until_asleep(server);
    server.signal(SIGSTOP);
    std::vector<Caller> callers = twelve_call(server);
    server.signal(SIGCONT);
    for (int i = 0; i < 4; ++i)
        callers[static_cast<std::size_t>(i)].expect("sit down\n");
    wait_until_asleep(server);
    for (std::size_t i = 4; i < callers.size(); ++i)
        if (callers[i].has_news()) callers[i].expect_silence(0s);
}

TEST_CASE("rude_ones") {
    Server server = start();
    for (int i = 1; i <= 8; ++i) {
        Caller rude = seated(server, std::to_string(i));
        rude.reset();
    }
    const std::vector<Caller> callers = four(server);
}

TEST_CASE("queue_is_free") {
    Server server = start();
    const std::vector<Caller> callers = four(server);
    wait_until_asleep(server);
    const Counts before = server.counts();
    const std::vector<Caller> waiting = twelve_call(server);
    wait_until_asleep(server);
    const Counts now = server.counts();
    if (now.threads > before.threads)
        server.fail(Outcome::leak_threads, "who waits at the door has a thread");
    if (now.descriptors > before.descriptors + 1)
        server.fail(Outcome::leak_fds, "who waits at the door has a descriptor");
    expect_rest(server);
}
