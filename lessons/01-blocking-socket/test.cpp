// The proofs of lesson 01. A case named "step N: ..." passes on step N and fails on step N - 1.
#include "step.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <future>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr auto greeting = "Welcome to 10086, blocking, pid *, thread *";

} // namespace

TEST_CASE("step 1: callers connect and send though nobody accepts") {
    Server server = step(1);
    Caller caller = server.call("A");
    caller.send("hello?\n");
    caller.expect_silence(300ms);
}

TEST_CASE("step 2: a greeting, one echo of exactly what was said, the end") {
    Server server = step(2);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    caller.send("hey");
    caller.expect("hey");
    caller.expect_end();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 3: a conversation lasts until the caller says goodbye") {
    Server server = step(3);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    for (int i = 0; i < 10; ++i) {
        caller.send("message " + std::to_string(i));
        caller.expect("message " + std::to_string(i));
    }
    caller.half_close();
    caller.expect_end();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 4: 200 callers one after another, with room for 16 descriptors") {
    Server server = step(4, ServerOptions{.limits = {{RLIMIT_NOFILE, 16}}});
    for (int i = 0; i < 200; ++i) {
        Caller caller = server.call("caller " + std::to_string(i));
        caller.expect_line_like(greeting);
        caller.send("hey");
        caller.expect("hey");
    }
}

TEST_CASE("step 4: the second caller is greeted when the first one leaves, not before") {
    Server server = step(4);
    Caller first = server.call("A");
    first.expect_line_like(greeting);
    Caller second = server.call("B");
    second.expect_silence(300ms);
    first.close();
    second.expect_line_like(greeting);
}

TEST_CASE("step 4: the port can be taken again at once") {
    int port = 0;
    {
        Server server = step(4);
        port = server.port();
        Caller caller = server.call("A");
        caller.expect_line_like(greeting);
        server.kill(); // The server's side of the connection ends first: TIME_WAIT is here.
        caller.expect_gone();
    }
    Server server = step(4, {std::to_string(port)});
    CHECK(server.port() == port);
}

TEST_CASE("step 5: a line may come byte by byte") {
    Server server = step(5);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    for (const char byte : std::string("echo hey\r\n"))
        caller.send({&byte, 1});
    caller.expect("hey\n");
}

TEST_CASE("step 5: three lines may come in one piece") {
    Server server = step(5);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    caller.send("0\necho hey\nwhat?\nexit\n");
    caller.expect("0000\nhey\nDo it again\n");
    caller.expect_end();
}

TEST_CASE("step 5: a line of 1,024 bytes is answered, one byte more is refused") {
    Server server = step(5);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    const std::string longest = "echo " + std::string(1019, 'x') + '\n';
    caller.send(longest);
    caller.expect(longest.substr(5));
    caller.send('x' + longest);
    caller.expect("Line too long\n");
}

TEST_CASE("step 6: every byte arrives in a storm of signals, though the caller reads slowly") {
    Server server = step(6);
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.expect_line_like(greeting);

    const std::string line = std::string(1000, 'x') + '\n';
    constexpr int lines = 8000; // 8 MB: more than the kernel's buffers hold.
    auto asking =
        std::async(std::launch::async, [&] { caller.send(repeated(lines, "echo " + line), 20s); });
    for (int i = 0; i < lines; ++i) {
        if (i % 10 == 0) server.signal(SIGUSR1);
        caller.expect(line);
    }
    asking.get();
}

TEST_CASE("step 6: a signal while the server waits for a caller, or for words") {
    Server server = step(6);
    server.signal(SIGUSR1);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    for (int i = 0; i < 20; ++i) {
        server.signal(SIGUSR1);
        caller.send("0\n");
        caller.expect("0000\n");
    }
}

TEST_CASE("step 7: callers who hang up in every way, and then a polite one") {
    Server server = step(7);
    for (int i = 0; i < 20; ++i) {
        server.call("resetter").reset();

        Caller vanisher = server.call("vanisher"); // Ends, then resets: our next send is EPIPE.
        vanisher.send(repeated(100, "echo hey\n"));
        vanisher.vanish();

        Caller rude = server.call("rude");
        rude.send(repeated(100, "echo hey\n"));
        rude.reset();
        server.signal(SIGUSR1); // Wakes accept(), where it waits for the next.
    }
    Caller polite = server.call("polite");
    polite.expect_line_like(greeting);
    polite.send("0\n");
    polite.expect("0000\n");
}

TEST_CASE(
    "step 7: without a free descriptor it waits, without work, and goes on when one is free") {
    Server server = step(7);
    Caller first = server.call("A");
    first.expect_line_like(greeting);
    server.limit(RLIMIT_NOFILE, 4); // 0, 1, 2 and the listener: none is left for another caller.
    Caller second = server.call("B");
    first.close();
    const auto before = server.cpu_time();
    second.expect_silence(1500ms);
    CHECK(server.cpu_time() - before < 300ms);
    server.limit(RLIMIT_NOFILE, 64);
    second.expect_line_like(greeting);
}

TEST_CASE("step 8: who exits with more to say gets all answers and the end, not a reset") {
    Server server = step(8);
    expect_all_that_is_owed(server);
}

TEST_CASE("step 8: a caller who says no more gets the answer to the last words") {
    Server server = step(8);
    Caller caller = server.call("A");
    caller.expect_line_like(greeting);
    caller.send("echo one\necho two");
    caller.half_close();
    caller.expect("one\ntwo\n");
    caller.expect_end();
}

TEST_CASE("the server, too, says goodbye before it closes") {
    Server server = step(9);
    expect_all_that_is_owed(server);
}

TEST_CASE("step 9: a silent caller is dropped in time, and the next one is served") {
    Server server = step(9, {"--idle-timeout", "0.5"});
    Caller silent = server.call("silent");
    silent.expect_line_like(greeting);
    Caller next = server.call("next");
    silent.expect_gone();
    next.expect_line_like(greeting);
}

TEST_CASE("step 9: one byte now and then does not keep the line") {
    Server server = step(9, {"--idle-timeout", "1"});
    Caller drip = server.call("drip");
    drip.expect_line_like(greeting);
    Caller next = server.call("next");
    auto dripping = std::async(std::launch::async, [&] {
        try {
            // A byte each tenth of a second: the habit under test, longer than the timeout.
            for (int i = 0; i < 100 && !drip.has_news(); ++i) {
                drip.send("x");
                std::this_thread::sleep_for(100ms);
            }
        } catch (const Unexpected&) { // Dropped: what the test is about.
        }
    });
    next.expect_line_like(greeting);
    dripping.get();
}

TEST_CASE("step 9: SIGTERM ends it, whether nobody calls, or one who is silent") {
    Server idle = step(9);
    idle.stop();

    Server server = step(9);
    Caller silent = server.call("silent");
    silent.expect_line_like(greeting);
    server.stop();
    silent.expect_end();
}

TEST_CASE("step 9: SIGTERM in the middle of an answer: the answer is finished") {
    Server server = step(9);
    Caller caller = greeted(server, "A");
    const std::string answer = big_answer(long_answer());
    caller.send("big " + std::to_string(long_answer()) + "\n");
    caller.read_exactly(100'000);
    server.signal(SIGTERM);
    caller.expect(answer.substr(100'000));
    caller.expect_end();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 9: a caller who never reads does not keep it from stopping") {
    Server server = step(9);
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.expect_line_like(greeting);
    caller.send("big 8000000\n");
    caller.read_exactly(1);
    caller.stop_reading();
    server.stop();
}
