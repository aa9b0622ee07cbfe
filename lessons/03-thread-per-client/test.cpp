// The proofs of lesson 03. A case named "step N: ..." passes on step N and fails on step N - 1.
#include "holding.hpp"
#include "step.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

// In the middle of a long answer, which they read slowly.
Caller in_an_answer(Server& server, const std::string& question) {
    Caller caller = greeted(server, "A", {.receive_buffer = 65536});
    caller.send(question);
    caller.read_exactly(100000);
    return caller;
}

std::vector<Caller> several(Server& server, int count) {
    std::vector<Caller> callers;
    for (int i = 0; i < count; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    return callers;
}

// So many callers' threads wait for their words.
void expect_in_recv(Server& server, int wanted) {
    const auto is_in_recv = [](const Thread& thread) { return thread.call == "recv"; };
    const Deadline deadline = scaled(usual);
    while (std::ranges::count_if(threads_of(server.pid()), is_in_recv) < wanted) {
        if (deadline.passed()) server.fail(Outcome::timeout_none, "threads were to wait in recv()");
        std::this_thread::sleep_for(1ms); // between two looks
    }
}

Server step_holding(int number, const std::string& point) {
    return holding(program_of_step(number), point);
}

} // namespace

TEST_CASE("step 1: what the first one says is answered to the second") {
    Server server = step(1);
    Caller first = greeted(server, "A");
    expect_in_recv(server, 1);
    Caller second = greeted(server, "B");
    first.send("echo my secret\n");
    second.expect("my secret\n");
}

TEST_CASE("step 1: the first caller is hung up on, and the second is welcomed twice") {
    Server server = step_holding(1, "a thread begins");
    Caller first = server.call("A");
    expect_held(server);
    Caller second = greeted(server, "B");
    first.expect_end();
    let_go(server);
    second.expect_line_like("Welcome*");
}

TEST_CASE("step 2: each thread has its own caller, whichever thread begins first") {
    Server server = step_holding(2, "a thread begins");
    Caller first = server.call("A");
    expect_held(server);
    Caller second = greeted(server, "B");
    let_go(server);
    first.expect_line_like("Welcome*");
    second.expect_silence(200ms);
}

TEST_CASE("from step 2 on: the second caller is answered while the first one's handler sleeps") {
    for (const int number : {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}) {
        Server server = step(number);
        Caller first = greeted(server, "A");
        first.send("sleep 60000\n");
        Caller second = greeted(server, "B");
        second.send("0\n");
        second.expect("0000\n");
        CHECK_FALSE(first.has_news());
    }
}

TEST_CASE("step 3: the loop does other work while nobody calls, and still picks up") {
    Server server = step(3);
    expect_log(server, "turn 1, 0 calls");
    Caller caller = greeted(server, "A");
    expect_log(server, "turn 3, 1 calls");
    caller.send("0\n");
    caller.expect("0000\n");
}

TEST_CASE("step 4: callers who hang up in every way, and one who stays on the line") {
    Server server = step(4);
    Caller polite = greeted(server, "polite");
    for (int i = 0; i < 5; ++i) {
        server.call("resetter").reset();
        Caller vanisher = server.call("vanisher"); // Ends, then resets: our next send is EPIPE.
        vanisher.send("big 10000000\n");
        vanisher.vanish();
    }
    expect_log(server, "lost a caller");
    polite.send("0\n");
    polite.expect("0000\n");
    greeted(server, "the next");
}

TEST_CASE("step 5: two callers count, and one count is lost") {
    Server server = step_holding(5, "count is read");
    Caller first = greeted(server, "A");
    Caller second = greeted(server, "B");
    first.send("count\n");
    expect_held(server);
    second.send("count\n");
    second.expect("1\n");
    let_go(server);
    first.expect("1\n");
    second.send("count\n");
    second.expect("2\n"); // three counts, and this is the highest number
}

TEST_CASE("step 6: who counts in the meantime waits, and no count is lost") {
    Server server = step_holding(6, "count is read");
    Caller first = greeted(server, "A");
    Caller second = greeted(server, "B");
    first.send("count\n");
    expect_held(server);
    second.send("count\n");
    second.expect_silence(300ms);
    let_go(server);
    first.expect("1\n");
    second.expect("2\n");
}

TEST_CASE("step 7: what one says waits in the service of the other, and nobody sends it") {
    Server server = step(7);
    Caller first = greeted(server, "A");
    Caller second = greeted(server, "B");
    expect_in_recv(server, 2);
    first.send("say hello\n");
    first.expect("said\n");
    second.expect_silence(300ms);
    second.send("0\n");
    second.expect_line_like("127.0.0.1:*: hello");
    second.expect("0000\n");
}

TEST_CASE("step 8: what one says the other hears, but one who never reads stops everybody") {
    Server server = step(8);
    Caller first = greeted(server, "A");
    Caller second = greeted(server, "B");
    first.send("say hello\n");
    first.expect("said\n");
    second.expect_line_like("127.0.0.1:*: hello");
    Caller lazy = greeted(server, "lazy", {.receive_buffer = 65536});
    lazy.send("big 100000000\n");
    lazy.read_exactly(1);
    lazy.stop_reading();
    // Sooner or later every buffer is full, the thread sleeps in send(), and it has the lock.
    const Deadline deadline = scaled(usual);
    while (!deadline.passed()) {
        first.send("0\n");
        std::this_thread::sleep_for(300ms); // longer than an answer takes
        if (!first.has_news()) break;
        first.expect("0000\n");
    }
    first.expect_silence(300ms);
    second.send("0\n");
    second.expect_silence(300ms);
    server.call("C").expect_silence(300ms);
}

TEST_CASE("step 9: one who never reads harms nobody") {
    Server server = step(9);
    Caller lazy = greeted(server, "lazy", {.receive_buffer = 65536});
    lazy.send("big 100000000\n");
    lazy.read_exactly(1);
    lazy.stop_reading();
    Caller first = greeted(server, "A");
    Caller second = greeted(server, "B");
    const std::string line(1000, 'x');
    for (const Deadline full(1s); !full.passed();) { // By then every buffer on the way is full.
        first.send("say " + line + '\n');
        first.expect("said\n");
        second.expect_line_like("127.0.0.1:*: " + line);
    }
    greeted(server, "C");
}

TEST_CASE("step 10: while one is telling the others, somebody leaves, comes, and is answered") {
    Server server = step_holding(10, "before the others are told");
    Caller speaker = greeted(server, "speaker");
    Caller leaver = greeted(server, "leaver");
    Caller listener = greeted(server, "listener");
    speaker.send("say hello\n");
    expect_held(server);
    leaver.send("exit\n");
    leaver.expect_end();
    listener.send("count\n");
    listener.expect("1\n");
    greeted(server, "newcomer");
    let_go(server);
    speaker.expect("said\n");
    listener.expect_line_like("127.0.0.1:*: hello");
}

TEST_CASE("two who tell each other all the time do not wait for each other's lock") {
    Server server = step(10);
    std::vector<Caller> callers = several(server, 2);
    for (Caller& caller : callers)
        caller.send(repeated(300, "say hello\n"));
    for (Caller& caller : callers) {
        for (int said = 0, heard = 0; said + heard < 600;)
            ++(caller.expect_line() == "said" ? said : heard);
    }
}

TEST_CASE("step 11: SIGTERM ends it with status 0, in the middle of an answer") {
    Server server = step(11);
    const std::vector<Caller> silent = several(server, 20);
    Caller caller = in_an_answer(server, "big 900000000\n");
    server.signal(SIGTERM);
    CHECK(server.wait_exit(2s) == 0);
    caller.expect_gone(10s); // The answer breaks off.
}

TEST_CASE("step 12: SIGTERM wakes 50 who are silent, and an answer is finished") {
    Server server = step(12);
    std::vector<Caller> silent = several(server, 50);
    silent[0].send("echo half a quest");
    Caller caller = in_an_answer(server, "big " + std::to_string(long_answer()) + "\n");
    server.signal(SIGTERM);
    for (Caller& one : silent)
        one.expect_end();
    caller.read_exactly(long_answer() - 100000);
    caller.expect_line_like("");
    caller.expect_line_like("sum *");
    caller.expect_end();
    CHECK(server.wait_exit() == 0);
}

// ThreadSanitizer names what we do here: a close() beside a recv().
TEST_CASE("why shutdown() and not close(): only one of them wakes a reader" *
          doctest::skip(sanitized())) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    const int spare = ::dup(pair[0]); // close() gives back a number, not the connection
    auto reader = std::async(std::launch::async, [number = pair[0]] {
        char byte = 0;
        return ::recv(number, &byte, 1, 0);
    });
    CHECK(reader.wait_for(300ms) == std::future_status::timeout); // By now it is in recv().
    ::close(pair[0]);
    CHECK(reader.wait_for(300ms) == std::future_status::timeout);
    ::shutdown(spare, SHUT_RD);
    CHECK(reader.wait_for(5s) == std::future_status::ready);
    CHECK(reader.get() == 0);
    ::close(spare);
    ::close(pair[1]);
}

TEST_CASE("step 13: SIGTERM ends it in time, whoever naps, and whoever never reads") {
    Server server = step(13);
    Caller sleeper = greeted(server, "sleeper");
    sleeper.send("sleep 60000\n");
    Caller lazy = in_an_answer(server, "big 900000000\n");
    lazy.stop_reading();
    server.stop(2s);
}

TEST_CASE("step 14: the 101st waits without cost to anybody, until one of the 100 leaves") {
    Server server = step(14);
    std::vector<Caller> callers = several(server, 100);
    Caller one_more = server.call("one more");
    const auto before = server.cpu_time();
    one_more.expect_silence(1500ms);
    CHECK(server.cpu_time() - before < 300ms);
    callers.back().close();
    one_more.expect_line_like("Welcome*");
    callers.front().send("0\n");
    callers.front().expect("0000\n");
}

// Sanitizers need all addresses.
TEST_CASE("step 14: a thread that cannot be started costs one caller, not the server" *
          doctest::skip(sanitized())) {
    Server server = step(14);
    long pages = 0; // that it has mapped: proc(5), statm
    std::ifstream("/proc/" + std::to_string(server.pid()) + "/statm") >> pages;
    const auto now = static_cast<rlim_t>(pages) * 4096;
    server.limit(RLIMIT_AS, now + 100'000); // no room for a stack of 256 KiB
    for (int i = 0; i < 3; ++i)
        server.call("unlucky").expect_gone();
    expect_log(server, "no thread for a caller: Resource temporarily unavailable");
    server.limit(RLIMIT_AS, now + 200'000'000);
    greeted(server, "lucky");
}

TEST_CASE("step 15: a listener who was slow hears the rest without saying a word") {
    Server server = step(15);
    Caller speaker = greeted(server, "speaker");
    Caller slow = greeted(server, "slow", {.receive_buffer = 4096});
    const std::string line(1000, 'x');
    constexpr int lines = 5000; // more than the kernel's buffers hold, and a mailbox
    for (int i = 0; i < lines; ++i) {
        speaker.send("say " + line + '\n');
        speaker.expect("said\n");
    }
    speaker.send("say the last word\n");
    int heard = 0;
    for (int missed = 0; heard + missed <= lines; ++heard) {
        const std::string word = slow.expect_line();
        if (!word.starts_with("missed ")) continue;
        missed += std::stoi(word.substr(7));
        --heard;
    }
    CHECK(heard > 16);
}

TEST_CASE("step 16: who says nothing is dropped in time, who naps is not") {
    Server server = step(16, {"--idle-timeout", "0.5"});
    Caller sleeper = greeted(server, "sleeper");
    sleeper.send("sleep 1500\n");
    Caller silent = greeted(server, "silent");
    silent.expect_gone();
    expect_log(server, "lost a caller: too slow");
    sleeper.expect("ok\n");
}

TEST_CASE("step 16: who serves me? a thread with a name") {
    Server server = step(16);
    Caller first = greeted(server, "A");
    Caller second = server.call("B");
    second.expect_line_like("Welcome to 10086, thread, pid *, thread caller 2");
    first.send("who\n");
    first.expect_line_like("pid * thread caller 1 descriptor *");
    const std::string task = "/proc/" + std::to_string(server.pid()) + "/task";
    bool found = false;
    for (const auto& thread : std::filesystem::directory_iterator(task)) {
        std::string name;
        std::getline(std::ifstream(thread.path() / "comm") >> std::ws, name);
        found = found || name == "caller 2";
    }
    CHECK(found);
}

TEST_CASE("the server says goodbye before it closes") {
    Server server = step(16);
    expect_all_that_is_owed(server);
}

TEST_CASE("step 17: four who say nothing keep all threads, and the fifth starves") {
    Server server = step(17);
    const int threads = server.threads();
    CHECK(threads >= 5);
    std::vector<Caller> silent = several(server, 4);
    CHECK(server.threads() == threads);
    Caller fifth = server.call("fifth");
    fifth.send("who\n");
    fifth.expect_silence(600ms);
    silent[2].close();
    fifth.expect_line_like("Welcome to 10086, thread, pid *, thread worker *");
    fifth.expect_line_like("pid * thread worker * descriptor *");
}

TEST_CASE("the pool, too, stops in time, whoever talks and whoever waits") {
    Server server = step(17);
    Caller sleeper = greeted(server, "sleeper");
    sleeper.send("sleep 60000\n");
    std::vector<Caller> silent = several(server, 3);
    Caller waiting = server.call("waiting");
    server.stop(2s);
    waiting.expect_gone();
    for (Caller& one : silent)
        one.expect_end();
}
