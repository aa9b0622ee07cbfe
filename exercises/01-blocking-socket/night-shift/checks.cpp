// The checks of exercise 01/night-shift.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <csignal>

namespace {

// "0 1 2 3 ...": no part of it is like another, so bytes that are missing are missed.
std::string numbers(std::size_t size) {
    std::string text;
    for (int i = 0; text.size() < size; ++i)
        text += std::to_string(i) + ' ';
    return text;
}

// With its three streams and the listener, the server has room for twelve callers.
const ServerOptions sixteen_descriptors{.limits = {{RLIMIT_NOFILE, 16}}};

void expect_echo(Server& server, const std::string& name) {
    Caller caller = server.call(name);
    caller.send("hey");
    caller.expect("hey");
    caller.send("you");
    caller.expect("you");
}

// The operator's question finds the server asleep, and nothing else wakes it at the same time.
void ask(Server& server) {
    wait_until_asleep(server);
    server.signal(SIGUSR1);
    wait_until_asleep(server);
}

// Says as much as the kernel takes, and reads nothing, until the server sleeps in send() and leaves
// some unread. Returns all that was said.
std::string stuff(Server& server, Caller& caller) {
    const std::string more = numbers(1'000'000);
    std::string said;
    while (unread_bytes(server, caller) == 0) {
        said += more.substr(0, caller.send_some(more));
        wait_until_asleep(server);
    }
    return said;
}

} // namespace

TEST_CASE("exact_echo") {
    Server server = start();
    expect_echo(server, "A");
}

TEST_CASE("many_callers") {
    Server server = start(sixteen_descriptors);
    for (int i = 1; i <= 100; ++i) {
        Caller caller = server.call(std::to_string(i));
        caller.send("hey");
        CHECK(caller.read_exactly(3) == "hey");
    }
}

TEST_CASE("resetter") {
    Server server = start();
    Caller rude = server.call("R");
    rude.send("hey");
    rude.read_exactly(3);
    rude.reset();
    Caller polite = server.call("P");
    polite.send("hey");
    polite.read_exactly(3);
}

// The caller has come, spoken and gone before the server picks up. So it hears the words, and speaks
// to nobody.
TEST_CASE("vanisher") {
    Server server = start();
    Caller busy = server.call("B");
    busy.send("hey");
    busy.read_exactly(3);
    Caller rude = server.call("V");
    rude.send("hey");
    rude.vanish();
    busy.close();
    Caller polite = server.call("P");
    polite.send("hey");
    polite.read_exactly(3);
}

TEST_CASE("many_resetters") {
    Server server = start(sixteen_descriptors);
    for (int i = 1; i <= 40; ++i) {
        Caller rude = server.call(std::to_string(i));
        rude.send("hey");
        rude.read_exactly(3);
        rude.reset();
    }
    Caller polite = server.call("P");
    polite.send("hey");
    polite.read_exactly(3);
}

TEST_CASE("question") {
    Server server = start();
    ask(server);
    Caller a = server.call("A");
    a.send("hey");
    a.read_exactly(3);
    ask(server);
    a.send("hey");
    a.read_exactly(3);
}

// A signal finds send() asleep when it has taken a part.
TEST_CASE("many_questions") {
    Server server = start();
    Caller a = server.call("A", {.receive_buffer = 262'144});
    const std::string said = stuff(server, a);
    for (int i = 0; i < 5; ++i)
        ask(server);
    a.expect(said);
    a.send("hey");
    a.expect("hey");
}
