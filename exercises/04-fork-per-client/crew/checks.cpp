// The checks of exercise 04/crew.
#include "exercise.hpp"
#include "proc.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <list>
#include <thread>
#include <vector>

namespace {

// Three at once: nobody goes before all have been answered.
void expect_three(Server& server, const std::string& names) {
    std::list<Caller> callers;
    for (const char name : names) {
        Caller& caller = callers.emplace_back(server, std::string(1, name));
        caller.send("hey");
        caller.expect("hey");
    }
}

void expect_no_zombie(Server& server) {
    Counts none = server.counts();
    none.zombies = 0;
    server.settle(none);
}

void end(Caller& caller, const std::string& how) {
    caller.send("hey");
    caller.expect("hey");
    caller.send(how);
    caller.expect_gone();
}

// Looks again and again until something holds, or until it is too late.
bool holds_soon(const auto& holds) {
    const Deadline deadline = scaled(usual);
    while (!holds() && !deadline.passed())
        std::this_thread::sleep_for(std::chrono::milliseconds(2)); // between two looks
    return holds();
}

bool stands_still(const Server& server) {
    const std::vector<Process> tree = tree_of(server.pid());
    return !tree.empty() && tree.front().state == 'T';
}

int births(const Server& server) {
    const std::string log = server.log();
    const std::string_view birth = "a child is born\n";
    int count = 0;
    for (std::size_t at = 0; (at = log.find(birth, at)) != std::string::npos; at += birth.size())
        ++count;
    return count;
}

} // namespace

TEST_CASE("crashed") {
    Server server = start();
    Caller a = server.call("A");
    end(a, "!");
    expect_three(server, "BCD");
    expect_no_zombie(server);
}

TEST_CASE("left") {
    Server server = start();
    Caller a = server.call("A");
    end(a, ".");
    expect_three(server, "BCD");
    expect_no_zombie(server);
}

// All three end while the parent looks elsewhere. It hears of them once.
TEST_CASE("all_at_once") {
    Server server = start();
    {
        std::list<Caller> callers;
        for (const char* name : {"A", "B", "C"}) {
            Caller& caller = callers.emplace_back(server, name);
            caller.send("hey");
            caller.expect("hey");
        }
        wait_until_asleep(server);
        server.signal(SIGSTOP);
        holds_soon([&] { return stands_still(server); });
        for (Caller& caller : callers)
            caller.send("!");
        holds_soon([&] { return server.children() == 0; });
        server.signal(SIGCONT);
    }
    expect_three(server, "DEF");
    expect_no_zombie(server);
}

// Children that die as soon as they are born: the first three, then ten each second.
TEST_CASE("bad_day") {
    constexpr int more = 6;
    Server server = start({"--bad-day"});
    const auto began = Clock::now();
    if (!holds_soon([&] { return births(server) >= 3 + more; }))
        server.fail(Outcome::too_slow, "the parent has given up: after two seconds " +
                                           std::to_string(births(server)) + " children were born");
    if (Clock::now() - began < std::chrono::milliseconds(100 * (more - 2)))
        server.fail(Outcome::cpu_spin, "children are born without end, and without a pause");
}

TEST_CASE("stop") {
    Server server = start();
    Caller a = server.call("A");
    end(a, "!");
    Caller b = server.call("B");
    b.send("hey");
    b.expect("hey");
    // Who dies hangs up first, and is counted for a moment more: there are three before the birth, too.
    holds_soon([&] { return births(server) == 4 && server.children() == 3; });
    server.stop();
}

TEST_CASE("stop_on_a_bad_day") {
    Server server = start({"--bad-day"});
    holds_soon([&] { return births(server) >= 6; }); // no place is filled for long
    server.stop();
}
