// The checks of exercise 05/send-queue.
#include "exercise.hpp"
#include "proc.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace {

constexpr std::size_t much = 5'000'000; // more than the kernel's buffers hold

std::string letters(std::size_t count) {
    std::string text(count, 'a');
    for (std::size_t i = 0; i < count; ++i)
        text[i] = static_cast<char>('a' + i % 26);
    return text + '\n';
}

void ask(Caller& caller, std::size_t count) {
    caller.send(std::to_string(count) + '\n');
}

// Asks for much, and reads nothing until the server has done all it can.
Caller slow_reader(Server& server) {
    Caller caller = server.call("A");
    caller.stop_reading();
    ask(caller, much);
    wait_until_asleep(server);
    return caller;
}

// Until SIGCONT, however long that takes to be so.
void stand_still(Server& server) {
    server.signal(SIGSTOP);
    const Deadline deadline = scaled(usual);
    while (tree_of(server.pid()).front().state != 'T' && !deadline.passed())
        std::this_thread::sleep_for(std::chrono::milliseconds(2)); // between two looks
}

} // namespace

TEST_CASE("few") {
    Server server = start();
    Caller a = server.call("A");
    ask(a, 3);
    a.expect("abc\n");
    ask(a, 5);
    a.expect("abcde\n");
}

TEST_CASE("many") {
    Server server = start();
    Caller a = slow_reader(server);
    a.expect(letters(much));
}

TEST_CASE("others") {
    Server server = start();
    Caller a = slow_reader(server);
    Caller b = server.call("B");
    ask(b, 3);
    b.expect("abc\n");
}

// When the server wakes, there is a question, and there is room: it hears of the question first.
TEST_CASE("in_order") {
    constexpr std::size_t some = 2'000'000;
    Server server = start();
    Caller a = slow_reader(server);
    stand_still(server);
    const std::string begun = a.read_exactly(some);
    ask(a, 3);
    server.signal(SIGCONT);
    const std::string all = begun + a.read_exactly(much + 1 - some);
    if (all != letters(much))
        server.fail(Outcome::wrong_bytes, "other words stand in the middle of the first answer");
    a.expect("abc\n");
}

TEST_CASE("last_words") {
    Server server = start();
    Caller a = slow_reader(server);
    a.send("bye\n");
    wait_until_asleep(server);
    a.expect(letters(much) + "bye\n");
    a.expect_end();
}

TEST_CASE("at_rest") {
    using namespace std::chrono_literals;
    Server server = start();
    Caller a = server.call("A");
    ask(a, much);
    a.expect(letters(much));
    ask(a, 1);
    a.expect("a\n");
    const Seconds before = server.eager_time();
    a.expect_silence(300ms);
    if (server.eager_time() - before > 150ms)
        server.fail(Outcome::cpu_spin, "all is said, and the server does not rest");
}

TEST_CASE("gone") {
    Server server = start();
    const Counts before = server.counts();
    Caller a = slow_reader(server);
    a.reset();
    Caller b = server.call("B");
    ask(b, 3);
    b.expect("abc\n");
    b.close();
    server.settle(before);
}
