// ThreadSanitizer on a race and on its cure. It watches every access to memory, and reports two of
// them when nothing says which comes first.
#include "holding.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>

namespace {

constexpr int found_something = 66; // ThreadSanitizer's own exit status

// A server that ThreadSanitizer watches, in which the first thread is held at a schedule point. One
// is held because ThreadSanitizer takes whatever a socket says for a message to everybody: after an
// answer to the first caller it would think that all is in order.
struct Watched {
    Watched(const std::string& program, const std::string& point)
        : server({steps().folder / program},
                 {.environment = {"HOLD=" + point, "TSAN_OPTIONS=halt_on_error=1"}}),
          first(greeted("A")), second(greeted("B")) {}

    Caller greeted(const std::string& name) {
        Caller caller = server.call(name);
        caller.expect_line_like("Welcome*");
        return caller;
    }

    void expect_named(const std::string& place) {
        CHECK(server.expect_crash() == found_something);
        CHECK(server.log().find("ThreadSanitizer: data race") != std::string::npos);
        CHECK(server.log().find(place) != std::string::npos);
    }

    Server server;
    Caller first;
    Caller second;
};

} // namespace

TEST_CASE("it names the race of step 5: two threads and one number") {
    Watched watched("watched_5_race", "count is read");
    watched.first.send("count\n");
    expect_held(watched.server);
    watched.second.send("count\n");
    watched.second.expect("1\n");
    let_go(watched.server);
    watched.expect_named("Counter::count()");
}

TEST_CASE("it has nothing to say about step 6") {
    Watched watched("watched_6_mutex", "count is read");
    watched.first.send("count\n");
    expect_held(watched.server);
    watched.second.send("count\n");
    let_go(watched.server);
    watched.first.expect("1\n");
    watched.second.expect("2\n");
} // Here the server ends. A report would fail the test.

TEST_CASE("it names the race of step 7: two threads in one service") {
    Watched watched("watched_7_lock_the_list", "the others are told");
    // The second caller's thread may still be noting that it has sent the greeting: named at once.
    // If not, it is named when it takes the next line.
    watched.first.send("say hello\n");
    const Deadline deadline = scaled(usual);
    while (watched.server.alive() && !deadline.passed() &&
           watched.server.log().find("a thread is held") == std::string::npos)
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // between two looks at the log
    if (watched.server.alive()) watched.second.send("0\n");
    watched.expect_named("Connection::tell(");
}

TEST_CASE("it has nothing to say about step 8") {
    Watched watched("watched_8_lock_across_io", "before the others are told");
    watched.first.send("say hello\n");
    expect_held(watched.server);
    watched.second.send("0\n");
    let_go(watched.server);
    watched.second.expect_line_like("*: hello");
    watched.second.expect("0000\n");
}
