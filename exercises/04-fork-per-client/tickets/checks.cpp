// The checks of exercise 04/tickets.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <list>
#include <sstream>
#include <vector>

namespace {

void expect_ticket(Caller& caller, int number) {
    caller.send("\n");
    caller.expect(std::to_string(number) + '\n');
}

} // namespace

TEST_CASE("one_caller") {
    Server server = start();
    Caller a = server.call("A");
    for (int i = 1; i <= 3; ++i)
        expect_ticket(a, i);
}

TEST_CASE("two_callers") {
    Server server = start();
    Caller a = server.call("A");
    expect_ticket(a, 1);
    Caller b = server.call("B");
    expect_ticket(b, 2);
    expect_ticket(a, 3);
    expect_ticket(b, 4);
}

TEST_CASE("later_caller") {
    Server server = start();
    Caller a = server.call("A");
    expect_ticket(a, 1);
    a.half_close();
    a.expect_end();
    Caller b = server.call("B");
    expect_ticket(b, 2);
}

TEST_CASE("crash") {
    Server server = start();
    Caller a = server.call("A");
    expect_ticket(a, 1);
    Caller b = server.call("B");
    b.send("!");
    b.expect_gone();
    expect_ticket(a, 2);
    Caller c = server.call("C");
    expect_ticket(c, 3);
}

// Each number is there once, whoever has it. All four are asked before one of them answers, or else
// the first might be done before the last begins.
TEST_CASE("all_at_once") {
    constexpr int each = 40'000;
    Server server = start();
    std::list<Caller> callers;
    std::vector<int> numbers;
    for (const char* name : {"A", "B", "C", "D"}) {
        callers.emplace_back(server, name);
        wait_until_asleep(server); // By now they have a process.
    }
    for (Caller& caller : callers) {
        caller.send("\n");
        numbers.push_back(std::stoi(caller.expect_line()));
    }
    server.signal_all(SIGSTOP);
    for (Caller& caller : callers) {
        caller.send(std::string(each, '\n'));
        caller.half_close();
    }
    server.signal_all(SIGCONT);
    for (Caller& caller : callers) {
        std::istringstream words(caller.read_to_end(std::size_t{9} * each));
        for (int number = 0; words >> number;)
            numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    int expected = 0;
    for (const int number : numbers)
        if (number != ++expected)
            server.fail(Outcome::wrong_bytes, "among the numbers that four callers got, the " +
                                                  std::to_string(expected) +
                                                  " is there twice, or not at all");
    CHECK(numbers.size() == 4 + 4 * std::size_t{each});
}
