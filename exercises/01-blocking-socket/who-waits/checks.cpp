// The checks of exercise 01/who-waits: each looks what a server does, then at what was foretold.
#include "exercise.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

using namespace std::chrono_literals;

namespace {

bool hears_something(const Caller& caller, std::chrono::milliseconds within) {
    pollfd news{caller.fd(), POLLIN, 0};
    return ::poll(&news, 1, static_cast<int>(within.count())) > 0;
}

} // namespace

TEST_CASE("without_accept") {
    const Guess guess("without_accept", {"is connected", "waits", "is refused"});
    Server server = step(1);
    std::string seen = "is connected";
    try {
        const Caller caller = server.call("A");
    } catch (const Unexpected& unexpected) {
        seen = unexpected.outcome() == Outcome::refused ? "is refused" : "waits";
    }
    guess.meets(seen, server);
}

TEST_CASE("second_caller") {
    const Guess guess("second_caller", {"at once", "when the first leaves", "never"});
    Server server = step(4);
    Caller first = server.call("A");
    first.expect_line();
    Caller second = server.call("B");
    std::string seen = "at once";
    if (!hears_something(second, 500ms)) {
        server.story().tell("caller B", "hears nothing for 0.5 s");
        first.close();
        seen = hears_something(second, 2s) ? "when the first leaves" : "never";
    }
    if (seen != "never") second.expect_line();
    guess.meets(seen, server);
}

TEST_CASE("processor") {
    const Guess guess("processor", {"nothing", "all of it"});
    Server server = step(4);
    Caller first = server.call("A");
    first.expect_line();
    Caller second = server.call("B");
    const Seconds before = server.eager_time();
    second.expect_silence(500ms);
    const double share = (server.eager_time() - before).count() / 0.5;
    server.story().tell("server", "has used " + std::to_string(static_cast<int>(share * 100)) +
                                      " % of a processor in that time");
    guess.meets(share < 0.5 ? "nothing" : "all of it", server);
}

TEST_CASE("first_piece") {
    const Guess guess("first_piece", {"hel", "nothing"});
    Server server = step(4);
    Caller caller = server.call("A");
    caller.expect_line();
    caller.send("hel");
    const std::string seen = hears_something(caller, 500ms) ? caller.read_exactly(3) : "nothing";
    caller.send("lo");
    guess.meets(seen, server);
}

TEST_CASE("unread_words") {
    const Guess guess("unread_words", {"the end", "a reset"});
    Server server = step(7);
    Caller caller = server.call("A");
    caller.expect_line();
    caller.send("exit\n" + std::string(100'000, 'x'));
    std::string seen = "the end";
    char byte = 0;
    if (hears_something(caller, 2s) && ::recv(caller.fd(), &byte, 1, 0) < 0) seen = "a reset";
    server.story().tell("caller A", "sees " + seen);
    guess.meets(seen, server);
}
