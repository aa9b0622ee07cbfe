// The proofs of lesson 05. A case named "step N: ..." passes on step N and fails on step N - 1.
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

void expect_answer(Caller& caller) {
    caller.send("0\n");
    caller.expect("0000\n");
}

// What is freed is filled with rubbish, so that whoever touches it falls at once, and always.
ServerOptions with_rubbish() {
    return {.environment = {"MALLOC_PERTURB_=165"}};
}

void expect_service_of_echo(Server& server) {
    Caller caller = server.call("echo");
    caller.send("hey");
    caller.expect("hey");
}

Caller shouted_at(Server& server, const std::string& name, const CallerOptions& options = {}) {
    Caller caller = server.call(name, options);
    caller.expect("Say it, I shout it\n");
    return caller;
}

} // namespace

TEST_CASE("step 1: handlers are executed in order, later; one that does nothing is refused") {
    Server list = step(1, ServerOptions{.ready = Ready::at_once});
    CHECK(list.wait_exit() == 1);
    const std::string round = "first\nsecond\nthird\n";
    CHECK(list.out() == "three handlers are in the list\n" + round + round);
    CHECK(list.log().find("override execute()") != std::string::npos);
}

TEST_CASE("step 2: two conversations at once, every byte of a long answer, and a half-close") {
    Server server = step(2);
    Caller silent = greeted(server, "silent");
    Caller caller = greeted(server, "A");
    caller.send("big 8000000\necho last");
    caller.half_close();
    caller.expect(big_answer(8'000'000) + "last\n");
    caller.expect_end();
    expect_answer(silent);
}

TEST_CASE("step 2: callers who hang up in every way, and then a polite one") {
    Server server = step(2);
    for (int i = 0; i < 20; ++i) {
        server.call("resetter").reset();
        Caller vanisher = server.call("vanisher");
        vanisher.send(repeated(100, "echo hey\n"));
        vanisher.vanish();
    }
    expect_service(server, "polite");
}

TEST_CASE("step 3: B is answered while A's handler sleeps") {
    Server server = step(3);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("echo good night\nsleep 2000\n");
    a.expect("good night\n");
    expect_answer(b);
    CHECK(!a.has_news());
    a.expect("ok\n");
}

TEST_CASE("in step 3 who leaves in their sleep is not called any more") {
    Server server = step(3, with_rubbish());
    for (int i = 0; i < 10; ++i) {
        Caller sleeper = greeted(server, "sleeper");
        sleeper.send("echo good night\nsleep 300\n");
        sleeper.expect("good night\n");
        sleeper.reset();
    }
    Caller caller = greeted(server, "A");
    caller.send("sleep 400\n");
    caller.expect("ok\n");
}

TEST_CASE("step 4: a signal in another thread ends the loop in good order") {
    Server server = step(4);
    const Caller caller = greeted(server, "A");
    server.stop();
}

TEST_CASE("step 4: a call from another thread is refused, and says what to do instead") {
    Server server = step(4);
    Caller caller = greeted(server, "A");
    server.signal(SIGUSR1);
    while (server.log().find('\n') == std::string::npos)
        expect_answer(caller);
    CHECK(server.log().find("call_later() in a thread that is not the loop's: post() it") !=
          std::string::npos);
}

TEST_CASE("step 5: who exits with more to say gets all answers and the end, not a reset") {
    Server server = step(5);
    expect_all_that_is_owed(server);
}

TEST_CASE("step 6: a conversation without a network, and a minute in no time") {
    Server rehearsal = step(6, {"rehearse"}, ServerOptions{.ready = Ready::at_once});
    CHECK(rehearsal.wait_exit() == 0);
    const std::string out = rehearsal.out();
    CHECK(out.starts_with("Welcome to 10086, event, pid "));
    CHECK(out.ends_with("\nhey\n0000\nok\nGOOD MORNING\nthe end\n"));
}

TEST_CASE("step 7: they count together, also with those who are gone") {
    Server server = step(7);
    for (int i = 1; i <= 3; ++i) {
        Caller caller = greeted(server, "A");
        caller.send("count\n");
        caller.expect(std::to_string(i) + "\n");
    }
}

TEST_CASE("step 8: lines, in whatever pieces they come, and bytes between them") {
    Server server = step(8);
    Caller caller = shouted_at(server, "A");
    for (const char byte : std::string("hello\r\n"))
        caller.send({&byte, 1});
    caller.expect("HELLO\n");
    caller.send("one\nraw 9\ntwo\nthree\nfour\n");
    caller.expect("ONE\ntwo\nthree\nFOUR\n");
    caller.send("raw 3\nab");
    caller.expect("ab");
    caller.send("cd\n");
    caller.expect("cD\n");
    const std::string longest(1024, 'x');
    caller.send(longest + "\n");
    caller.expect(std::string(1024, 'X') + "\n");
    caller.send(longest + "x\n");
    caller.expect("Line too long\n");
    caller.expect_end();
}

TEST_CASE("step 8, which is broken: a connection ends inside a loop of its own") {
    Server server = step(8, with_rubbish());
    Caller caller = shouted_at(server, "A");
    caller.send("slam\nmore\n");
    server.expect_crash();
}

TEST_CASE("step 9: a connection may end inside its own call") {
    Server server = step(9, with_rubbish());
    for (int i = 0; i < 10; ++i) {
        Caller caller = shouted_at(server, "A");
        caller.send("slam\nmore\n");
        caller.expect_gone();
    }
    shouted_at(server, "B");
}

TEST_CASE("step 10: four who ask for a million lines each and do not read cost no memory") {
    Server server = step(10);
    std::vector<Caller> callers;
    for (int i = 0; i < 4; ++i)
        callers.push_back(shouted_at(server, std::to_string(i), {.receive_buffer = 65536}));
    const std::size_t before = server.memory().resident;
    for (Caller& caller : callers) {
        caller.send("repeat 1000000 every line has its turn\nand then this one\n");
        caller.expect("EVERY LINE");
        caller.stop_reading();
    }
    Caller last = shouted_at(server, "last");
    last.send("me\n");
    last.expect("ME\n");
    if (!sanitized()) // AddressSanitizer keeps for a while what a program has given back
        CHECK(server.memory().resident < before + 8'000'000);
    callers.back().expect(" HAS ITS TURN\n" + repeated(999'999, "EVERY LINE HAS ITS TURN\n") +
                              "AND THEN THIS ONE\n",
                          60s);
}

TEST_CASE("step 16: SIGTERM in the middle of an answer: it is finished, then the end") {
    Server server = step(16);
    Caller silent = greeted(server, "silent");
    Caller caller = greeted(server, "A");
    const std::string answer = big_answer(long_answer());
    caller.send("big " + std::to_string(long_answer()) + "\n");
    caller.read_exactly(100'000);
    server.signal(SIGTERM);
    caller.expect(answer.substr(100'000));
    caller.expect_end();
    silent.expect_end();
    silent.close();
    caller.close();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 16: SIGTERM ends it, whoever is there") {
    Server idle = step(16);
    idle.stop();

    Server server = step(16, with_rubbish());
    Caller never_reads = greeted(server, "never reads", {.receive_buffer = 65536});
    never_reads.send("big 8000000\n");
    never_reads.read_exactly(1);
    never_reads.stop_reading();
    Caller sleeper = greeted(server, "sleeper");
    sleeper.send("sleep 60000\n");
    server.stop();
}

TEST_CASE("step 16: what one says all others hear, also those who say nothing themselves") {
    Server server = step(16);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    Caller c = greeted(server, "C");
    a.send("say hello\n");
    a.expect("said\n");
    b.expect_line_like("127.0.0.1:*: hello");
    c.expect_line_like("127.0.0.1:*: hello");
}

TEST_CASE("step 17: 2,000 callers at once, with poll and with epoll; with select as many as fit") {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    for (const std::string poller : {"select", "poll", "epoll"}) {
        CAPTURE(poller);
        Server server =
            step(17, {"--poller", poller}, {.limits = {{RLIMIT_NOFILE, limit.rlim_max}}});
        std::vector<Caller> callers;
        for (int i = 0; i < 2000; ++i)
            callers.push_back(server.call(std::to_string(i), {.within = 20s}));
        callers.front().expect_line_like("Welcome to 10086, *", 20s);
        if (poller == "select") {
            callers.back().expect_gone(20s);
        } else {
            callers.back().expect_line_like("Welcome to 10086, *", 20s);
            expect_answer(callers.back());
        }
        expect_answer(callers.front());
    }
}

TEST_CASE("step 17: the silent and the dripping are dropped in time, the lively one stays") {
    for (const std::string service : {"hotline", "echo"}) {
        Server server = step(17, {"--idle-timeout", "1", "--service", service});
        Caller lively = server.call("lively");
        Caller silent = server.call("silent");
        if (service == "hotline") {
            lively.expect_line_like("Welcome *");
            silent.expect_line_like("Welcome *");
        }
        // Ten times a second, for longer than the timeout: the habit under test.
        for (int i = 0; i < 20; ++i) {
            lively.send("echo hey\n");
            lively.expect(service == "echo" ? "echo hey\n" : "hey\n");
            std::this_thread::sleep_for(100ms);
        }
        silent.expect_gone();
        lively.send("0\n");
        lively.expect(service == "echo" ? "0\n" : "0000\n");
    }
}

TEST_CASE("step 17: with --max-clients 2 the third waits in the queue, without work for anybody") {
    Server server = step(17, {"--max-clients", "2"});
    Caller a = greeted(server, "A");
    const Caller b = greeted(server, "B");
    Caller c = server.call("C");
    const auto before = server.cpu_time();
    c.expect_silence(500ms);
    CHECK(server.cpu_time() - before < 150ms);
    a.close();
    c.expect_line_like("Welcome to 10086, *");
}

TEST_CASE("the server: who reads as fast as it writes does not keep the others waiting") {
    Server server = step(17);
    Caller greedy = greeted(server, "greedy");
    Caller polite = greeted(server, "polite");
    constexpr std::size_t size = 300'000'000;
    greedy.send("big " + std::to_string(size) + "\n");
    std::atomic<bool> over = false;
    auto reading = std::async(std::launch::async, [&] {
        for (std::size_t heard = 0; heard < size && !over; heard += 1'000'000)
            greedy.read_exactly(1'000'000, 20s);
    });
    const Deadline deadline = scaled(usual); // fifty answers in the time that one may take
    bool in_time = true;
    for (int i = 0; i < 50; ++i) {
        expect_answer(polite);
        in_time = in_time && !deadline.passed();
    }
    over = true;
    reading.get();
    CHECK(in_time);
}

TEST_CASE("the server: an echo that nobody reads costs little, and comes back whole") {
    Server server = step(17, {"--service", "echo"});
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.send("x");
    caller.expect("x");
    const std::size_t before = server.memory().resident;
    const std::string piece = big_bytes(1'000'000);
    std::size_t sent = 0;
    while (const auto count = caller.send_some(piece.substr(sent % piece.size())))
        sent += count;
    expect_service_of_echo(server);
    CHECK(server.memory().resident < before + (sanitized() ? 3'000'000 : 600'000));
    for (std::size_t heard = 0; heard < sent;) {
        const auto next = std::min(piece.size() - heard % piece.size(), sent - heard);
        caller.expect(piece.substr(heard % piece.size(), next));
        heard += next;
    }
}
