// The checks of exercise 04/copies: what is seen of the lesson's own programs.
#include "exercise.hpp"
#include "proc.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <list>
#include <thread>
#include <vector>

namespace {

// Looks again and again until something holds. It must: this is about our own programs.
void expect_soon(const std::string& what, const auto& holds) {
    const Deadline deadline = scaled(usual);
    while (!holds()) {
        if (deadline.passed()) throw std::runtime_error("expected: " + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(2)); // between two looks
    }
}

std::string count(Caller& caller) {
    caller.send("count\n");
    return caller.expect_line();
}

// What B is told after A has counted to 3.
std::string second_count(Server& server) {
    Caller a = greeted(server, "A");
    for (int i = 0; i < 3; ++i)
        count(a);
    Caller b = greeted(server, "B");
    return count(b);
}

// Whether somebody is still there who answers.
std::string goes_on(Caller& caller) {
    caller.send("echo here\n");
    return caller.expect_line_like("*") == "here" ? "goes on" : "is cut off";
}

} // namespace

TEST_CASE("goodbye") {
    const Guess guess("goodbye", {"the end", "nothing"});
    Server server = step(1);
    Caller a = greeted(server, "A");
    a.send("exit\n");
    expect_soon("the child has ended", [&] { return server.zombies() == 1; });
    guess.meets(a.has_news() ? "the end" : "nothing", server);
}

TEST_CASE("count") {
    const Guess guess("count", {"1", "4"});
    Server server = step(8);
    guess.meets(second_count(server), server);
}

TEST_CASE("shared") {
    const Guess guess("shared", {"1", "4"});
    Server server = step(9);
    guess.meets(second_count(server), server);
}

TEST_CASE("crash") {
    const Guess guess("crash", {"goes on", "is cut off"});
    Server server = step(8);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("crash\n");
    a.expect_gone();
    guess.meets(goes_on(b), server);
}

TEST_CASE("zombies") {
    const Guess guess("zombies", {"none", "one", "nineteen", "twenty"});
    Server server = step(3);
    std::list<Caller> callers;
    for (int i = 1; i <= 20; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    server.signal(SIGSTOP);
    expect_soon("the parent stands still", [&] {
        const std::vector<Process> tree = tree_of(server.pid());
        return !tree.empty() && tree.front().state == 'T';
    });
    callers.clear();
    expect_soon("all children have ended", [&] { return server.zombies() == 20; });
    server.signal(SIGCONT);
    const Caller next = greeted(server, "the next"); // By now it has handled all that came.
    const int left = server.zombies();
    guess.meets(left == 19 ? "nineteen" : std::to_string(left), server);
}

TEST_CASE("diary") {
    const Guess guess("diary", {"once", "three times", "four times"});
    Server server = step(6);
    for (const char* name : {"A", "B", "C"}) {
        greeted(server, name).close();
        expect_soon("the child is gone", [&] { return server.children() + server.zombies() == 0; });
    }
    server.signal(SIGTERM);
    server.wait_exit();
    const std::string diary = server.out();
    int times = 0;
    for (std::size_t at = 0; (at = diary.find("the day is over", at)) != std::string::npos; ++at)
        ++times;
    guess.meets(times == 4 ? "four times" : std::to_string(times) + " times", server);
}

TEST_CASE("orphan") {
    const Guess guess("orphan", {"goes on", "is cut off"});
    Server server = step(5);
    Caller a = greeted(server, "A");
    server.signal(SIGKILL);
    server.wait_exit();
    guess.meets(goes_on(a), server);
}

// After a second the child's alarm clock ends what would last for ever.
TEST_CASE("lock") {
    const Guess guess("lock", {"greeted", "nothing"});
    Server server = step(15);
    Caller a = server.call("A");
    guess.meets(a.read_to_end(1000).empty() ? "nothing" : "greeted", server);
}
