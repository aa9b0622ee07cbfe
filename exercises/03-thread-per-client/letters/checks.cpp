// The checks of exercise 03/letters.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

// To weigh it takes milliseconds. So two threads do it at the same time, whoever begins.
const std::string heavy(4'000'000, 'x');

std::string answer(const std::string& line, std::size_t lines, std::size_t letters) {
    return line + " (" + std::to_string(lines) + " lines, " + std::to_string(letters) +
           " letters)\n";
}

void expect_some_answer(Caller& caller) {
    caller.send("hey\n");
    caller.expect_line_like("hey (* lines, * letters)");
}

// The two numbers at the end of an answer.
struct Sums {
    std::size_t lines = 0;
    std::size_t letters = 0;
};
Sums sums_in(const std::string& line) {
    const std::size_t first = line.rfind('(') + 1;
    const std::size_t second = line.rfind(", ") + 2;
    return {std::stoul(line.substr(first)), std::stoul(line.substr(second))};
}

} // namespace

TEST_CASE("one_customer") {
    Server server = start();
    Caller a = server.call("A");
    a.send("good morn");
    wait_until_asleep(server);
    a.send("ing\n\nhey\n");
    a.expect(answer("good morning", 1, 11) + answer("", 2, 11) + answer("hey", 3, 14));
}

TEST_CASE("two_customers") {
    Server server = start();
    Caller a = server.call("A");
    wait_until_asleep(server);
    Caller b = server.call("B");
    wait_until_asleep(server);
    expect_some_answer(b);
    expect_some_answer(a);
}

TEST_CASE("resetter") {
    Server server = start();
    Caller rude = server.call("R");
    expect_some_answer(rude);
    rude.reset();
    wait_until_asleep(server); // or dead
    Caller polite = server.call("P");
    expect_some_answer(polite);
}

// Answers pile up until the thread of A sleeps in send() and leaves questions unread.
TEST_CASE("never_reader") {
    Server server = start();
    Caller a = server.call("A", {.receive_buffer = 65'536});
    a.stop_reading();
    // Many short answers that nobody reads cost the kernel more than the window has promised. It drops
    // packets, and then both sides wait for a long time. Long answers do not.
    const std::string line = std::string(999'999, 'x') + '\n';
    while (unread_bytes(server, a) == 0) {
        a.send_some(line);
        wait_until_asleep(server);
    }
    Caller b = server.call("B");
    expect_some_answer(b);
}

TEST_CASE("no_letter_is_lost") {
    Server server = start();
    std::vector<Caller> callers;
    for (const char* const name : {"A", "B", "C", "D"}) {
        callers.push_back(server.call(name));
        callers.back().send(heavy);
    }
    wait_until_asleep(server);
    for (Caller& caller : callers)
        caller.send("\n"); // now all of them weigh at once
    for (Caller& caller : callers)
        caller.read_exactly(heavy.size(), 5s);
    for (Caller& caller : callers)
        caller.expect_line_like(" (* lines, * letters)");
    Caller last = server.call("L");
    last.send("\n");
    last.expect(answer("", 5, 4 * heavy.size()));
}

// While A's line is weighed, B looks into the book again and again.
TEST_CASE("both_numbers") {
    Server server = start();
    Caller a = server.call("A");
    Caller b = server.call("B");
    a.send(heavy);
    wait_until_asleep(server);
    a.send("\n");
    Sums sums;
    for (std::size_t said = 1; sums.lines == said - 1; ++said) {
        b.send("x\n");
        sums = sums_in(b.expect_line());
        const std::size_t with_a = sums.lines == said ? 0 : heavy.size();
        if (sums.letters != said + with_a)
            server.fail(Outcome::wrong_bytes, "B has said " + std::to_string(said) +
                                                  " lines of one letter. The book says " +
                                                  std::to_string(sums.lines) + " lines, and " +
                                                  std::to_string(sums.letters) + " letters");
    }
}
