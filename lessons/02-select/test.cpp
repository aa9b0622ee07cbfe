// The proofs of lesson 02. A case named "step N: ..." passes on step N and fails on step N - 1.
#include "step.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

// The share of a processor that a server wants for itself while nobody says anything.
double appetite(Server& server) {
    const auto begin = Clock::now();
    const Seconds before = server.eager_time();
    std::this_thread::sleep_for(700ms); // the time over which it is measured
    return (server.eager_time() - before) / (Clock::now() - begin);
}

void expect_answer(Caller& caller) {
    caller.send("0\n");
    caller.expect("0000\n");
}

// The highest limit on descriptors, for us and for the server: a crowd is to come.
ServerOptions with_room_for_a_crowd() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return {.limits = {{RLIMIT_NOFILE, limit.rlim_max}}};
}

std::vector<Caller> crowd(Server& server, int count) {
    std::vector<Caller> callers;
    for (int i = 0; i < count; ++i)
        callers.push_back(server.call(std::to_string(i), {.within = 20s}));
    return callers;
}

// While A's handler sleeps B leaves and C comes, who gets B's number: in the next pass.
void expect_no_mix_up(Server& server) {
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("echo good night\nsleep 1500\n");
    a.expect("good night\n");
    b.close();
    Caller c = server.call("C");
    a.expect("ok\n");
    expect_answer(a);
    c.expect_line_like("Welcome to 10086, select, *");
    expect_answer(c);
}

} // namespace

TEST_CASE("step 1: what B says waits until A has spoken") {
    Server server = step(1);
    Caller a = server.call("A");
    Caller b = server.call("B");
    b.send("from B");
    b.expect_silence(300ms);
    a.send("from A");
    a.expect("from A");
    b.expect("from B");
}

TEST_CASE("step 2: B is answered while A is silent") {
    Server server = step(2);
    const Caller a = server.call("A");
    Caller b = server.call("B");
    b.send("from B");
    b.expect("from B");
}

TEST_CASE("step 2: and while nobody speaks, it takes a whole processor") {
    Server server = step(2);
    const Caller a = server.call("A");
    const Caller b = server.call("B");
    CHECK(appetite(server) > 0.5);
}

TEST_CASE("step 3: B is answered while A is silent, and nobody works while nobody speaks") {
    Server server = step(3);
    const Caller a = server.call("A");
    Caller b = server.call("B");
    b.send("from B");
    b.expect("from B");
    CHECK(appetite(server) < 0.25);
}

TEST_CASE("step 4: 200 conversations at once, half a line at a time") {
    Server server = step(4);
    std::vector<Caller> callers;
    for (int i = 0; i < 200; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    for (Caller& caller : callers)
        caller.send("echo this is ");
    for (Caller& caller : callers)
        caller.send(caller.name() + "\n");
    for (Caller& caller : callers)
        caller.expect("this is " + caller.name() + "\n");
}

TEST_CASE("step 5: C gets the number of B, who left in the same pass, and nothing else of theirs") {
    Server server = step(5);
    expect_no_mix_up(server);
}

TEST_CASE("step 6: a select() that says ready when nobody is") {
    // The loader takes a space in LD_PRELOAD for the end of a name: so no folder is named there. And
    // a sanitizer wants to be loaded first, unless told that it need not be.
    const std::vector<std::string> environment = {"LD_PRELOAD=./lying_select.so",
                                                  "ASAN_OPTIONS=verify_asan_link_order=0"};
    Server server =
        step(6, ServerOptions{.environment = environment, .folder = steps().folder.string()});
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    for (int i = 0; i < 10; ++i) {
        expect_answer(a);
        expect_answer(b);
    }
}

TEST_CASE("step 7: who does not read stops nobody, and nobody works for them") {
    Server server = step(7);
    Caller a = greeted(server, "A", {.receive_buffer = 65536});
    a.send("big 20000000\n");
    a.read_exactly(1);
    a.stop_reading();
    Caller b = greeted(server, "B");
    for (int i = 0; i < 10; ++i)
        expect_answer(b);
    CHECK(appetite(server) < 0.25);
    a.read_exactly(20'000'000 - 1);
    a.expect("\n" + big_sum(20'000'000));
}

TEST_CASE("step 8: four who ask for 50 MB each and do not read cost no memory") {
    Server server = step(8);
    std::vector<Caller> callers;
    for (int i = 0; i < 4; ++i)
        callers.push_back(greeted(server, std::to_string(i), {.receive_buffer = 65536}));
    const std::size_t before = server.memory().resident;
    for (Caller& caller : callers) {
        caller.send("big 50000000\n");
        caller.read_exactly(1);
        caller.stop_reading();
    }
    Caller last = greeted(server, "last");
    expect_answer(last);
    CHECK(server.memory().resident < before + 20'000'000);
}

TEST_CASE("step 9: who says no more gets every answer, and then the end") {
    Server server = step(9);
    Caller caller = greeted(server, "A", {.receive_buffer = 65536});
    caller.send("big 8000000\necho last");
    caller.half_close();
    caller.expect(big_answer(8'000'000) + "last\n");
    caller.expect_end();
}

TEST_CASE("step 9: who exits with more to say gets all answers and the end, not a reset") {
    Server server = step(9);
    expect_all_that_is_owed(server);
}

TEST_CASE(
    "step 10: without a free descriptor it waits, without work, and goes on when one is free") {
    Server server = step(10);
    Caller a = greeted(server, "A");
    server.limit(RLIMIT_NOFILE, static_cast<rlim_t>(a.fd() >= 0 ? server.descriptors() : 0));
    Caller b = server.call("B");
    b.expect_silence(300ms);
    CHECK(appetite(server) < 0.25);
    expect_answer(a);
    server.limit(RLIMIT_NOFILE, 64);
    b.expect_line_like("Welcome to 10086, *");
    expect_answer(b);
}

TEST_CASE("step 10: of 1,100 callers those whose number has no bit in a set are turned away") {
    Server server = step(10, with_room_for_a_crowd());
    std::vector<Caller> callers = crowd(server, 1100);
    callers.back().expect_gone(20s);
    callers[0].expect_line_like("Welcome to 10086, *");
    expect_answer(callers[0]);
    callers[500].expect_line_like("Welcome to 10086, *");
    expect_answer(callers[500]);
    callers[500].close();
    callers[501].expect_line_like("Welcome to 10086, *");
    expect_answer(callers[501]); // A pass later the place is free:
    expect_service(server, "next");
}

TEST_CASE("step 11: the silent and the dripping are dropped in time, the lively one stays") {
    Server server = step(11, {"--idle-timeout", "1"});
    Caller lively = greeted(server, "lively");
    Caller silent = greeted(server, "silent");
    Caller drip = greeted(server, "drip");
    // A byte each tenth of a second: the habit under test, longer than the timeout.
    for (int i = 0; i < 100 && !(silent.has_news() && drip.has_news()); ++i) {
        drip.send_some("x");
        expect_answer(lively);
        std::this_thread::sleep_for(100ms);
    }
    silent.expect_gone();
    drip.expect_gone();
    expect_answer(lively);
}

TEST_CASE("step 11: while a handler sleeps nobody else grows too slow") {
    Server server = step(11, {"--idle-timeout", "1"});
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    Caller silent = greeted(server, "silent");
    a.send("echo good night\nsleep 2000\n");
    a.expect("good night\n");
    b.send("echo in time\n");
    a.expect("ok\n");
    b.expect("in time\n");
    silent.expect_gone();
}

TEST_CASE("step 12: SIGTERM in the middle of an answer: it is finished, then the end") {
    Server server = step(12);
    Caller silent = greeted(server, "silent");
    Caller caller = greeted(server, "A");
    const std::string answer = big_answer(long_answer());
    caller.send("big " + std::to_string(long_answer()) + "\n");
    caller.read_exactly(100'000);
    server.signal(SIGTERM);
    caller.expect(answer.substr(100'000));
    caller.expect_end();
    silent.expect_end();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 12: SIGTERM ends it, whoever is there") {
    Server idle = step(12);
    idle.stop();

    Server server = step(12);
    Caller never_reads = greeted(server, "never reads", {.receive_buffer = 65536});
    never_reads.send("big 8000000\n");
    never_reads.read_exactly(1);
    never_reads.stop_reading();
    Caller sleeper = greeted(server, "sleeper");
    sleeper.send("sleep 60000\n");
    server.stop();
}

TEST_CASE("step 13: what one says all others hear, also those who say nothing themselves") {
    Server server = step(13);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    Caller c = greeted(server, "C");
    a.send("say hello\n");
    a.expect("said\n");
    b.expect_line_like("127.0.0.1:*: hello");
    c.expect_line_like("127.0.0.1:*: hello");
}

TEST_CASE("step 13: who does not read misses lines, and hears how many; nobody waits for them") {
    Server server = step(13);
    Caller lazy = greeted(server, "lazy", {.receive_buffer = 65536});
    lazy.send("big 20000000\n");
    lazy.read_exactly(1);
    lazy.stop_reading();
    Caller listener = greeted(server, "listener");
    Caller speaker = greeted(server, "speaker");
    const std::string words(1000, 'w');
    for (int i = 0; i < 50; ++i) { // 50 KB, three times what a mailbox holds
        speaker.send("say " + words + "\n");
        speaker.expect("said\n");
        listener.expect_line_like("127.0.0.1:*: w*w");
    }
    lazy.read_exactly(20'000'000 - 1);
    lazy.expect("\n" + big_sum(20'000'000));
    int told = 0;
    std::string line = lazy.expect_line();
    for (; !line.starts_with("missed "); line = lazy.expect_line())
        ++told;
    CHECK(told > 0);
    CHECK(std::stoi(line.substr(7)) == 50 - told);
}

TEST_CASE("step 13: they count together") {
    Server server = step(13);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("count\n");
    a.expect("1\n");
    b.send("count\n");
    b.expect("2\n");
}

TEST_CASE("the server: a number changes hands, and callers are gone, between ready and accept") {
    Server server = step(13);
    expect_no_mix_up(server);
    Caller a = greeted(server, "A");
    a.send("echo good night\nsleep 500\n");
    a.expect("good night\n");
    for (int i = 0; i < 5; ++i)
        server.call("resetter").reset();
    a.expect("ok\n");
    expect_answer(a);
    expect_service(server, "next");
}

TEST_CASE("the server: who floods it does not keep ten others waiting") {
    Server server = step(13);
    std::vector<Caller> others;
    for (int i = 0; i < 10; ++i)
        others.push_back(greeted(server, std::to_string(i)));
    Caller flooder = greeted(server, "flooder");
    std::atomic<bool> enough = false;
    std::atomic<std::size_t> sent = 0;
    const std::string flood = repeated(1000, "0\n");
    auto flooding = std::async(std::launch::async, [&] {
        for (; !enough; sent += 1000)
            flooder.send(flood, 20s);
        flooder.send(flood, 20s); // The reader may already wait for these.
        sent += 1000;
    });
    auto reading = std::async(std::launch::async, [&] {
        std::size_t heard = 0;
        for (; !enough || heard < sent; heard += 1000)
            flooder.expect(repeated(1000, "0000\n"), 20s);
        return heard;
    });
    // A hundred answers in the time that one may take.
    const Deadline deadline = scaled(usual);
    bool in_time = true;
    try {
        for (int i = 0; i < 10; ++i)
            for (Caller& other : others) {
                expect_answer(other);
                in_time = in_time && !deadline.passed();
            }
    } catch (...) {
        enough = true; // or else the two would go on for ever
        throw;
    }
    enough = true;
    flooding.get();
    CHECK(reading.get() >= 1000);
    CHECK(in_time);
}

TEST_CASE("the server: 1,000 callers at once are each answered") {
    Server server = step(13, with_room_for_a_crowd());
    std::vector<Caller> callers = crowd(server, 1000);
    for (Caller& caller : callers)
        caller.expect_line_like("Welcome to 10086, *", 20s);
    for (Caller& caller : callers)
        caller.send("0\n");
    for (Caller& caller : callers)
        caller.expect("0000\n", 20s);
}

TEST_CASE(
    "the server: with --max-clients 2 the third waits in the queue, without work for anybody") {
    Server server = step(13, {"--max-clients", "2"});
    Caller a = greeted(server, "A");
    const Caller b = greeted(server, "B");
    Caller c = server.call("C");
    c.expect_silence(300ms);
    CHECK(appetite(server) < 0.25);
    a.close();
    c.expect_line_like("Welcome to 10086, *");
}
