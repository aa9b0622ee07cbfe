// The checks of exercise 03/forecast: each looks what a server does, then at what was foretold.
#include "exercise.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

Caller greeted(Server& server, const std::string& name, const CallerOptions& options = {}) {
    Caller caller = server.call(name, options);
    caller.expect_line_like("Welcome*");
    return caller;
}

std::vector<Caller> several(Server& server, int count) {
    std::vector<Caller> callers;
    for (int i = 1; i <= count; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    return callers;
}

bool hears_something(const Caller& caller, std::chrono::milliseconds within) {
    pollfd news{caller.fd(), POLLIN, 0};
    return ::poll(&news, 1, static_cast<int>(within.count())) > 0;
}

void expect_log(Server& server, const std::string& words) {
    const Deadline deadline = scaled(usual);
    while (server.log().find(words) == std::string::npos) {
        if (deadline.passed()) server.fail(Outcome::timeout_none, "the log was to say " + words);
        std::this_thread::sleep_for(1ms); // between two looks
    }
}

// Whatever the machine has: from now on, this server has one.
void give_one_processor(const Server& server) {
    cpu_set_t ours;
    ::sched_getaffinity(0, sizeof ours, &ours);
    int first = 0;
    while (!CPU_ISSET(first, &ours))
        ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ::sched_setaffinity(server.pid(), sizeof one, &one);
}

// B's question, when A reads nothing of what it has asked for.
std::string is_answered(Server& server) {
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    Caller b = greeted(server, "B");
    a.send("big 100000000\n");
    a.read_exactly(1);
    a.stop_reading();
    wait_until_asleep(server); // by now every buffer on the way is full
    b.send("0\n");
    const bool answered = hears_something(b, 500ms);
    server.story().tell("caller B", answered ? "is answered" : "hears nothing for 0.5 s");
    return answered ? "yes" : "no";
}

// For so many who ask at the same time.
Seconds time_to_work(std::vector<Caller>& callers, std::size_t count) {
    const auto began = Clock::now();
    for (std::size_t i = 0; i < count; ++i)
        callers[i].send("big 10000000\n");
    for (std::size_t i = 0; i < count; ++i) {
        callers[i].read_exactly(10'000'001, 6s);
        callers[i].expect_line_like("sum *");
    }
    return Clock::now() - began;
}

} // namespace

TEST_CASE("secret") {
    const Guess guess("secret", {"A", "B"});
    Server server = step(1);
    Caller a = greeted(server, "A");
    wait_until_asleep(server);
    Caller b = greeted(server, "B");
    wait_until_asleep(server);
    a.send("echo my secret\n");
    const bool b_hears = hears_something(b, 1s);
    (b_hears ? b : a).expect("my secret\n");
    guess.meets(b_hears ? "B" : "A", server);
}

TEST_CASE("two_counts") {
    const Guess guess("two_counts", {"1 and 2", "1 and 1"});
    Server server = step(5, ServerOptions{.environment = {"HOLD=count is read"}});
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("count\n");
    expect_log(server, "a thread is held");
    b.send("count\n");
    const std::string second = b.expect_line();
    server.signal(SIGUSR1);
    const std::string first = a.expect_line();
    guess.meets(std::min(first, second) + " and " + std::max(first, second), server);
}

TEST_CASE("lost_in_answer") {
    const Guess guess("lost_in_answer", {"their thread", "the server"});
    Server server = step(3);
    Caller a = greeted(server, "A");
    a.send("big 100000000\n");
    a.read_exactly(1);
    a.reset();
    std::string seen = "the server";
    try {
        server.expect_crash(1s);
    } catch (const Unexpected& unexpected) {
        seen = "their thread";
    }
    guess.meets(seen, server);
}

TEST_CASE("never_reader_8") {
    const Guess guess("never_reader_8", {"yes", "no"});
    Server server = step(8);
    guess.meets(is_answered(server), server);
}

TEST_CASE("never_reader_9") {
    const Guess guess("never_reader_9", {"yes", "no"});
    Server server = step(9);
    guess.meets(is_answered(server), server);
}

TEST_CASE("fifth") {
    const Guess guess("fifth", {"yes", "no"});
    Server server = step(17);
    const std::vector<Caller> silent = several(server, 4);
    Caller fifth = server.call("fifth");
    fifth.send("0\n");
    guess.meets(hears_something(fifth, 500ms) ? "yes" : "no", server);
}

TEST_CASE("ten_naps") {
    const Guess guess("ten_naps", {"after 0.3 seconds", "after 3 seconds"});
    Server server = step(16);
    give_one_processor(server);
    std::vector<Caller> callers = several(server, 10);
    const auto began = Clock::now();
    for (Caller& caller : callers)
        caller.send("sleep 300\n");
    for (Caller& caller : callers)
        caller.expect("ok\n", 4s);
    guess.meets(Clock::now() - began < 1500ms ? "after 0.3 seconds" : "after 3 seconds", server);
}

TEST_CASE("four_works") {
    const Guess guess("four_works", {"as long as one", "about four times as long"});
    Server server = step(16);
    give_one_processor(server);
    std::vector<Caller> callers = several(server, 4);
    Seconds one = time_to_work(callers, 1);
    for (int i = 0; i < 2; ++i) // The shortest time is the one in which nobody else worked.
        one = std::min(one, time_to_work(callers, 1));
    const Seconds four = time_to_work(callers, 4);
    server.story().tell("server", "takes " + std::to_string(std::lround(four / one * 10)) +
                                      " tenths of the time that it takes for one");
    guess.meets(four > 2 * one ? "about four times as long" : "as long as one", server);
}
