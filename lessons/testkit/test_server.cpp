// Each fault of a server must be reported as what it is: the code, the sentence, within its
// deadline, with no process left. First of all, a server without a fault must pass.
#include "caller.hpp"
#include "step.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string faulty() {
    return steps().folder / "faulty_server";
}

// Children of this process, whatever their state.
int our_children() {
    int count = 0;
    for (const Process& process : all_processes())
        count += process.parent == ::getpid();
    return count;
}

// Undoes the breaking of lines.
std::string on_one_line(const std::string& text) {
    std::string line;
    for (const char c : text)
        if (c != '\n' && (c != ' ' || !line.ends_with(' ')))
            line += c;
        else if (!line.ends_with(' '))
            line += ' ';
    return line;
}

// What is said to the server, and how long an answer may take.
using Talk = std::function<void(Server&, Seconds)>;

void hello(Server& server, Seconds within) {
    Caller a = server.call("A");
    a.send("hello\n");
    a.expect("hello\n", within);
}

void hello_and_end(Server& server, Seconds within) {
    Caller a = server.call("A");
    a.send("hello\n");
    a.half_close();
    a.expect("hello\n", within);
    a.expect_end(within);
}

void stop(Server& server, Seconds within) {
    hello(server, within);
    server.stop();
}

void settle(Server& server, Seconds within) {
    const Counts before = server.counts();
    for (int i = 0; i < 5; ++i)
        hello_and_end(server, within);
    server.settle(before, within);
}

// For what fails by waiting. The faulty server is never slow, whatever the testkit is built with.
const Seconds short_wait = Seconds(0.5) / timeout_scale();

struct Fault {
    std::string name;
    Talk talk;
    std::string code;
    std::vector<std::string> words; // all of them in what is told
};

const std::vector<Fault> faults = {
    {"never listens", hello, "no_listen", {"within 0.", "no listening socket", "pause"}},
    {"says nothing", hello, "no_listen", {"It does listen, on port", "flushed"}},
    {"says something else", hello, "no_listen", {"the first line", "hello, world"}},
    {"exits at once",
     hello,
     "exited_early",
     {"exits with status 3 before", "| cannot start: the moon"}},
    {"finds the port taken", hello, "port_not_reusable", {"exits with status 1"}},
    {"dies at once", hello, "crash:SIGSEGV", {"dies of SIGSEGV before it listens"}},
    {"dies midway", hello, "crash:SIGSEGV", {"dies of SIGSEGV; caller A", "after \"hel\""}},
    {"exits midway", hello, "exited", {"exits with status 4; caller A"}},
    {"deadlocks", hello, "timeout:none", {"received nothing", "then waits for a lock (futex)"}},
    {"sleeps", hello, "timeout:none", {"and sleeps"}},
    {"reads to the end",
     hello,
     "timeout:none",
     {"waits for more in read(fd 4)", "did a whole line"}},
    {"answers half", hello, "timeout:partial", {"only \"hel\""}},
    {"swaps a byte",
     hello,
     "wrong_bytes",
     {"got   5a 65 6c", "want  68 65 6c", "^^ first difference at byte 0"}},
    {"says too much", hello_and_end, "extra_bytes", {R"(received "and more\n" more)"}},
    {"ends early", hello, "eof:early", {"but the server ended the stream"}},
    {"never closes", hello_and_end, "no_eof", {"fd 4 is in CLOSE_WAIT", "has not called close()"}},
    {"resets", hello_and_end, "reset", {"but the server reset the connection"}},
    {"spins", hello_and_end, "no_eof", {"busy loop", "CLOSE_WAIT"}},
    {"does not watch the caller",
     hello,
     "timeout:none",
     {"6 unread bytes of caller A wait", "nobody reads fd 4"}},
    {"ignores SIGTERM", stop, "ignores_sigterm", {"still runs after 2.0 s"}},
    {"exits badly", stop, "bad_exit", {"exits with status 3 on SIGTERM; expected 0"}},
    {"dies of SIGTERM", stop, "bad_exit", {"SIGTERM kills the server"}},
    {"leaks a descriptor", settle, "leak:fds", {"before   after", "fds             4       9"}},
    {"leaks a thread", settle, "leak:threads", {"threads"}},
    {"leaves a child", settle, "leak:children", {"children        0       5"}},
    {"leaves a daemon", settle, "leak:children", {"children        0       5"}},
    {"leaves a zombie",
     settle,
     "leak:zombies",
     {"5 children have ended", "zombies         0       5"}},
    {"races", hello, "sanitizer:data-race", {"a sanitizer reports: WARNING: ThreadSanitizer"}},
    {"spoils the heap", hello, "sanitizer:heap", {"heap-use-after-free"}},
    {"leaks memory", stop, "sanitizer:leak", {"detected memory leaks"}},
    {"overflows", hello, "sanitizer:ub", {"signed integer overflow"}},
    {"floods its log", hello_and_end, "pass", {}},
};

// The code of the failure, and what was told.
struct Verdict {
    std::string code = "pass";
    std::string told;
};

Verdict judge(const std::string& fault, const Talk& talk, Seconds within) {
    ServerOptions options;
    options.within = within;
    try {
        Server server({faulty(), fault}, options);
        talk(server, within);
    } catch (const Unexpected& unexpected) {
        return {unexpected.code(), unexpected.what()};
    }
    return {};
}

} // namespace

TEST_CASE("a server without a fault passes") {
    for (const Talk& talk : {Talk(hello), Talk(hello_and_end), Talk(settle), Talk(stop)}) {
        const Verdict verdict = judge("", talk, 5s);
        INFO(verdict.told);
        CHECK(verdict.code == "pass");
    }
    CHECK(our_children() == 0);
}

TEST_CASE("each fault is named, in time, and leaves no process") {
    for (const Fault& fault : faults) {
        CAPTURE(fault.name);
        const auto begin = Clock::now();
        const Verdict verdict =
            judge(fault.name, fault.talk, fault.code == "pass" ? Seconds(5) : short_wait);
        INFO(verdict.told);
        CHECK(verdict.code == fault.code);
        for (const std::string& words : fault.words)
            CHECK_MESSAGE(verdict.told.find(words) != std::string::npos, words);
        CHECK(Seconds(Clock::now() - begin) < Seconds(6) * timeout_scale());
        CHECK(our_children() == 0);
    }
}

TEST_CASE("a hang with two callers says who keeps the server") {
    struct Hang {
        std::string fault;
        std::string words;
    };
    const std::vector<Hang> hangs = {
        {"one at a time",
         "caller B is connected only in the kernel: 1 connection waits in the accept queue, with 6 "
         "unread bytes. The server has 1 thread, and it is inside recv(fd 4) = caller A: it is not "
         "calling accept()."},
        {"watches callers only",
         "sleeps in poll, and its loop does not watch the listening socket"},
    };
    for (const Hang& hang : hangs) {
        CAPTURE(hang.fault);
        Server server({faulty(), hang.fault});
        Caller a = server.call("A");
        a.send("first\n");
        a.expect("first\n");
        Caller b = server.call("B");
        b.send("hello\n");
        try {
            b.expect("hello\n", short_wait);
            FAIL("B is answered");
        } catch (const Unexpected& unexpected) {
            CHECK(unexpected.code() == "timeout:none");
            CHECK(on_one_line(unexpected.what()).find(hang.words) != std::string::npos);
            CHECK_MESSAGE(unexpected.what() != nullptr, unexpected.what());
        }
    }
}

TEST_CASE("a helper thread's broken expectation reaches the test") {
    Server server({faulty(), "swaps a byte"});
    std::vector<std::future<void>> talks;
    talks.reserve(4);
    for (int i = 0; i < 4; ++i)
        talks.push_back(std::async(std::launch::async, [&server, i] {
            Caller caller = server.call(std::to_string(i));
            caller.send("hello\n");
            caller.expect("hello\n");
        }));
    for (auto& talk : talks)
        CHECK_THROWS_AS(talk.get(), Unexpected);
}

TEST_CASE("the options reach the server") {
    ServerOptions options;
    options.environment = {"COLOR=green"};
    options.folder = "/";
    options.limits = {{RLIMIT_NOFILE, 77}};
    options.closed = {0, 1};
    options.ready = Ready::listens;
    Server server({std::filesystem::absolute(faulty()), ""}, options);
    Caller a = server.call("A");
    a.send("describe\n");
    // With 0 and 1 closed, its listener is 0 and we are 1.
    a.expect("/ 77 green +++\n");
}

TEST_CASE("a server that ends unasked fails even if no caller sees it") {
    const auto run = [] {
        Server server({faulty(), ""});
        server.signal(SIGSEGV);
        while (server.alive())
            std::this_thread::yield();
    };
    CHECK_THROWS_WITH_AS(run(), doctest::Contains("and nobody asked it to"), Unexpected);
}

TEST_CASE("a crash that is expected is none that fails") {
    Server server({faulty(), "dies midway"});
    Caller a = server.call("A");
    a.send("hello\n");
    CHECK(server.expect_crash() == 128 + SIGSEGV);
    a.expect("hel");
    a.expect_gone();
}

TEST_CASE("a program that does not exist is the test's own fault") {
    CHECK_THROWS_WITH_AS(Server({"/no/such/program"}),
                         "cannot start /no/such/program: exec: No such file or directory",
                         std::system_error);
    CHECK(our_children() == 0);
}

TEST_CASE("who is killed leaves nobody") {
    for (const char* const fault : {"leaves a child", "leaves a daemon", "leaves a zombie"}) {
        Server server({faulty(), fault});
        hello_and_end(server, 5s);
        server.kill();
        CHECK(our_children() == 0);
    }
}

TEST_CASE("a stopped server that leaves a process behind is found out") {
    Server server({faulty(), "leaves a daemon"});
    hello_and_end(server, 5s);
    while (server.children() == 0)
        std::this_thread::yield();
    CHECK_THROWS_WITH_AS(server.stop(), doctest::Contains("leaves 1 process behind"), Unexpected);
}

TEST_CASE("without readers of its log, a server that logs dies of SIGPIPE") {
    Server server({faulty(), "races"});
    server.hang_up_log();
    Caller a = server.call("A");
    a.send("hello\n");
    CHECK(server.expect_crash() == 128 + SIGPIPE);
}
