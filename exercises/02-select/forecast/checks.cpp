// The checks of exercise 02/forecast: each looks what a server does, then at what was foretold.
#include "exercise.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;

namespace {

Caller greeted(Server& server, const std::string& name, const CallerOptions& options = {}) {
    Caller caller = server.call(name, options);
    caller.expect_line_like("Welcome*");
    return caller;
}

bool hears_something(const Caller& caller, std::chrono::milliseconds within) {
    pollfd news{caller.fd(), POLLIN, 0};
    return ::poll(&news, 1, static_cast<int>(within.count())) > 0;
}

// The handler sleeps for this caller, and with it the server.
void send_to_sleep(Caller& caller, const std::string& milliseconds) {
    caller.send("echo good night\nsleep " + milliseconds + "\n");
    caller.expect("good night\n");
}

// Where 20 MB of questions are that get no reader for their answers.
std::string where_questions_pile_up(Server& server) {
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    a.stop_reading();
    std::string questions;
    for (int i = 0; i < 100; ++i)
        questions += "echo " + std::string(1000, 'x') + '\n';
    std::string_view rest = questions;
    for (std::size_t said = 0; said < 20'000'000;) {
        const std::size_t count = a.send_some(rest);
        said += count;
        rest.remove_prefix(count);
        if (rest.empty()) rest = questions;
        if (count > 0) continue;
        wait_until_asleep(server);
        if (a.send_some(rest.substr(0, 1)) == 0) return "with the caller";
        rest.remove_prefix(1);
    }
    return "in the server";
}

bool ends(Server& server, std::chrono::milliseconds within) {
    for (const Deadline deadline(within); server.alive(); std::this_thread::sleep_for(1ms))
        if (deadline.passed()) return false;
    return true;
}

// What somebody sees who calls when no descriptor is free.
std::string seen_at_a_full_house(Server& server) {
    const Caller a = greeted(server, "A");
    server.limit(RLIMIT_NOFILE, static_cast<rlim_t>(server.descriptors()));
    bool news = true;
    try {
        const Caller b = server.call("B");
        news = hears_something(b, 400ms);
        server.story().tell("caller B", news ? "hears something" : "hears nothing for 0.4 s");
    } catch (const Unexpected& unexpected) {
        // Where the server ends at once, the call may fail.
    }
    if (!news) return "they wait";
    return ends(server, 1s) ? "the server ends" : "they are hung up on";
}

} // namespace

TEST_CASE("idle_spinner") {
    const Guess guess("idle_spinner", {"nothing", "all of it"});
    Server server = step(2);
    const Caller a = server.call("A");
    std::string seen = "nothing";
    try {
        expect_rest(server);
    } catch (const Unexpected& unexpected) {
        seen = "all of it";
    }
    guess.meets(seen, server);
}

TEST_CASE("same_number") {
    const Guess guess("same_number", {"at once", "when C speaks"});
    Server server = step(4);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    send_to_sleep(a, "300");
    b.close();
    Caller c = server.call("C");
    a.expect("ok\n");
    wait_until_asleep(server);
    a.send("0\n");
    std::string seen = "at once";
    if (!hears_something(a, 400ms)) {
        server.story().tell("caller A", "hears nothing for 0.4 s");
        seen = "when C speaks";
        c.send("0\n");
    }
    a.expect("0000\n");
    guess.meets(seen, server);
}

TEST_CASE("questions_7") {
    const Guess guess("questions_7", {"in the server", "with the caller"});
    Server server = step(7);
    guess.meets(where_questions_pile_up(server), server);
}

TEST_CASE("questions_8") {
    const Guess guess("questions_8", {"in the server", "with the caller"});
    Server server = step(8);
    guess.meets(where_questions_pile_up(server), server);
}

TEST_CASE("last_line") {
    const Guess guess("last_line", {"one", "one and two"});
    Server server = step(8);
    Caller a = greeted(server, "A");
    a.send("echo one\necho two");
    a.half_close();
    const std::string all = a.read_to_end(100);
    guess.meets(all == "one\n" ? "one" : "one and two", server);
}

TEST_CASE("full_9") {
    const Guess guess("full_9", {"they wait", "they are hung up on", "the server ends"});
    Server server = step(9);
    const std::string seen = seen_at_a_full_house(server);
    if (seen == "the server ends") server.expect_crash();
    guess.meets(seen, server);
}

TEST_CASE("full_10") {
    const Guess guess("full_10", {"they wait", "they are hung up on", "the server ends"});
    Server server = step(10);
    guess.meets(seen_at_a_full_house(server), server);
}

TEST_CASE("napping") {
    const Guess guess("napping", {"at once", "after the nap"});
    Server server = step(13);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    send_to_sleep(a, "700");
    b.send("0\n");
    b.expect("0000\n");
    guess.meets(a.has_news() ? "after the nap" : "at once", server);
}
