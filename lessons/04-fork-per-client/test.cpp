// The proofs of lesson 04. A case named "step N: ..." passes on step N and fails on step N - 1.
#include "step.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <future>
#include <list>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

namespace {

// The process that serves this caller.
pid_t who_serves(Caller& caller) {
    caller.send("who\n");
    return std::stoi(caller.expect_line_like("pid * thread * descriptor *").substr(4));
}

// Waits until something holds. A broken expectation throws, and so does one that takes too long.
void expect_soon(Server& server, const std::string& what, const auto& holds) {
    const Deadline deadline = scaled(5s);
    while (!holds()) {
        if (deadline.passed()) server.fail(Outcome::too_slow, "expected: " + what);
        std::this_thread::sleep_for(5ms); // between two looks
    }
}

int count_of(const std::string& text, const std::string& part) {
    int count = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
        ++count;
    return count;
}

// The states of the connections and listeners that a process holds.
std::multiset<int> sockets_held_by(pid_t pid) {
    std::map<unsigned long, int> state_of;
    for (const TcpRow& row : tcp_rows())
        state_of[row.inode] = row.state;
    std::multiset<int> states;
    for (const Socket& socket : sockets_of(pid))
        if (state_of.contains(socket.inode)) states.insert(state_of[socket.inode]);
    return states;
}

// So many callers leave while the parent stands still. Their children end, and the kernel sends
// the parent SIGCHLD for each of them; it sees what has come when it goes on.
void leave_at_once(Server& server, int count) {
    std::vector<Caller> callers;
    for (int i = 0; i < count; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    server.signal(SIGSTOP);
    expect_soon(server, "the parent stands still", [&] {
        const std::vector<Process> tree = tree_of(server.pid());
        return !tree.empty() && tree.front().state == 'T';
    });
    callers.clear();
    expect_soon(server, "all children end", [&] { return server.children() == 0; });
    server.signal(SIGCONT);
}

// A user of their own may have so many processes. To root the kernel grants any number, so root
// plays somebody else here, who must be able to reach the program.
class PoorUser {
public:
    explicit PoorUser(const std::filesystem::path& program)
        : copy_(std::filesystem::temp_directory_path() / ("poor-" + std::to_string(::getpid()))) {
        std::filesystem::copy_file(program, copy_);
    }
    PoorUser(const PoorUser&) = delete;
    PoorUser& operator=(const PoorUser&) = delete;
    ~PoorUser() {
        std::error_code ignored;
        std::filesystem::remove(copy_, ignored);
    }
    std::vector<std::string> command() const {
        if (::getuid() != 0) return {copy_};
        const std::string user = std::to_string(100'000 + ::getpid());
        return {"setpriv", "--reuid=" + user, "--clear-groups", "--", copy_};
    }

private:
    std::filesystem::path copy_;
};

} // namespace

TEST_CASE("step 1: two callers at once, served by two processes that are not the parent") {
    Server server = step(1);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    const std::set<pid_t> pids{server.pid(), who_serves(a), who_serves(b)};
    CHECK(pids.size() == 3);
}

TEST_CASE("step 1: after exit no end of the stream comes, and the child stays as a zombie") {
    Server server = step(1);
    Caller caller = greeted(server, "A");
    caller.send("exit\n");
    expect_soon(server, "a zombie", [&] { return server.zombies() == 1; });
    caller.expect_silence(300ms);
}

TEST_CASE("step 2: who says exit sees the end of the stream") {
    Server server = step(2);
    Caller caller = greeted(server, "A");
    caller.send("exit\n");
    caller.expect_end();
}

TEST_CASE("step 2: the parent holds the listener, each child its own caller, and nothing else") {
    Server server = step(2);
    std::list<Caller> callers;
    for (int i = 0; i < 3; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    for (Caller& caller : callers)
        CHECK(sockets_held_by(who_serves(caller)) == std::multiset{tcp_established});
    CHECK(sockets_held_by(server.pid()) == std::multiset{tcp_listen});
}

TEST_CASE("step 3: a child that ends alone is reaped") {
    Server server = step(3);
    for (int i = 0; i < 5; ++i) {
        greeted(server, "A").close();
        expect_soon(server, "neither child nor zombie",
                    [&] { return server.children() + server.zombies() == 0; });
    }
}

// ThreadSanitizer delivers signals in its own time.
TEST_CASE("step 3: of twenty that end at once it reaps one, and nineteen stay" *
          doctest::skip(sanitized())) {
    Server server = step(3);
    leave_at_once(server, 20);
    expect_soon(server, "one of them is reaped", [&] { return server.zombies() < 20; });
    const Caller next = greeted(server, "the next"); // By now it has handled all that came.
    CHECK(server.zombies() == 19);
}

TEST_CASE("step 4: of two hundred that end at once none stays") {
    Server server = step(4);
    leave_at_once(server, 200);
    expect_soon(server, "no zombie", [&] { return server.zombies() == 0; });
    expect_service(server, "the next");
}

TEST_CASE("step 5: the log says of each child how it ended, and a crash harms nobody else") {
    Server server = step(5);
    Caller crashes = greeted(server, "crashes");
    Caller stays = greeted(server, "stays");
    const std::string first = "child " + std::to_string(who_serves(crashes)) + " has ended: ";
    const std::string second = "child " + std::to_string(who_serves(stays)) + " has ended: ";
    crashes.send("crash\n");
    crashes.expect_gone();
    expect_soon(server, "the log names the crash",
                [&] { return server.log().find(first + "Aborted\n") != std::string::npos; });
    stays.send("echo still here\n");
    stays.expect("still here\n");
    stays.close();
    expect_soon(server, "the log names the other end",
                [&] { return server.log().find(second + "it was done\n") != std::string::npos; });
}

TEST_CASE("step 5: of two hundred that end at once none stays, and the log has them all") {
    Server server = step(5);
    leave_at_once(server, 200);
    expect_soon(server, "no zombie", [&] { return server.zombies() == 0; });
    expect_soon(server, "200 ends in the log",
                [&] { return count_of(server.log(), " has ended: it was done\n") == 200; });
}

namespace {

// The diary after three callers, one after another.
std::string diary_of_a_day(Server& server) {
    for (int i = 0; i < 3; ++i) {
        greeted(server, std::to_string(i)).close();
        expect_soon(server, "the child is gone",
                    [&] { return server.children() + server.zombies() == 0; });
    }
    server.signal(SIGTERM);
    CHECK(server.wait_exit() == 0);
    return server.out();
}

} // namespace

TEST_CASE("step 6: three children and the parent all write the diary") {
    Server server = step(6);
    const std::string diary = diary_of_a_day(server);
    CHECK(count_of(diary, "caller 1\n") == 4);
    CHECK(count_of(diary, "caller 3\n") == 2); // the third child and the parent
    CHECK(count_of(diary, "the day is over") == 4);
}

TEST_CASE("step 7: only the parent writes the diary") {
    Server server = step(7);
    const std::string diary = diary_of_a_day(server);
    CHECK(count_of(diary, "caller ") == 3);
    CHECK(count_of(diary, "the day is over") == 1);
}

TEST_CASE("step 8: everybody counts in a copy of the count, the parent too") {
    Server server = step(8);
    Caller a = greeted(server, "A");
    a.send("count\ncount\ncount\n");
    a.expect("1\n2\n3\n");
    Caller b = greeted(server, "B");
    b.send("count\n");
    b.expect("1\n");
    server.signal(SIGTERM);
    CHECK(server.wait_exit() == 0);
    CHECK(count_of(server.out(), "the next number is 1\n") == 1);
}

TEST_CASE("step 9: eight callers count to 8,000, and each number comes once") {
    Server server = step(9);
    constexpr int each = 1000;
    std::list<Caller> callers;
    for (int i = 0; i < 8; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    for (Caller& caller : callers)
        caller.send(repeated(each, "count\n"));
    std::vector<int> numbers;
    for (Caller& caller : callers)
        for (int i = 0; i < each; ++i)
            numbers.push_back(std::stoi(caller.expect_line()));
    std::sort(numbers.begin(), numbers.end());
    for (int i = 0; i < 8 * each; ++i)
        REQUIRE(numbers[static_cast<size_t>(i)] == i + 1);
}

TEST_CASE("step 10: the ninth caller waits without work, and is served when one leaves") {
    Server server = step(10);
    std::list<Caller> callers;
    for (int i = 0; i < 8; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    Caller ninth = server.call("the ninth");
    const auto before = server.cpu_time();
    ninth.expect_silence(500ms);
    CHECK(server.cpu_time() - before < 100ms);
    callers.front().close();
    ninth.expect_line_like("Welcome to 10086, fork, *");
}

TEST_CASE("step 10: when fork fails the caller is closed, and the server goes on") {
    const PoorUser user(program_of_step(10));
    Server server(user.command(), {.limits = {{RLIMIT_NPROC, 1}}});
    const auto before = server.cpu_time();
    for (int i = 0; i < 3; ++i)
        server.call("unlucky").expect_gone();
    CHECK(server.alive());
    expect_soon(server, "the log says why, each time",
                [&] { return count_of(server.log(), "no process for a caller: ") == 3; });
    CHECK(server.cpu_time() - before < 100ms);
}

TEST_CASE("step 11: SIGTERM ends it and its children: the silent, and those who never read") {
    Server idle = step(11);
    idle.stop();

    Server server = step(11);
    Caller silent = greeted(server, "silent");
    Caller never_reads = greeted(server, "never reads", {.receive_buffer = 65536});
    never_reads.send("big 500000000\n");
    never_reads.read_exactly(1);
    never_reads.stop_reading();
    Caller sleeps = greeted(server, "sleeps");
    sleeps.send("sleep 60000\n");
    server.stop();
    silent.expect_end();
    sleeps.expect_gone();
}

TEST_CASE("step 11: SIGTERM in the middle of an answer: the answer is finished") {
    Server server = step(11);
    Caller caller = greeted(server, "A");
    const std::string answer = big_answer(long_answer());
    caller.send("big " + std::to_string(long_answer()) + "\necho and this\n");
    caller.read_exactly(100'000);
    server.signal(SIGTERM);
    caller.expect(answer.substr(100'000));
    caller.expect("and this\n");
    caller.expect_end();
    CHECK(server.wait_exit() == 0);
    CHECK(server.children() == 0);
}

TEST_CASE("step 11: when the parent is killed, its children are, too") {
    Server server = step(11);
    Caller caller = greeted(server, "A");
    server.signal(SIGKILL);
    CHECK(server.wait_exit() == 128 + SIGKILL);
    caller.expect_gone();
}

TEST_CASE("step 11: who exits with more to say gets all answers and the end, not a reset") {
    Server server = step(11);
    expect_all_that_is_owed(server);
}

TEST_CASE("step 12: a silent caller is dropped in time, and their process is gone") {
    Server server = step(12, {"--idle-timeout", "0.5"});
    Caller lively = greeted(server, "lively");
    Caller silent = greeted(server, "silent");
    for (int i = 0; !silent.has_news(); ++i) {
        REQUIRE(i < 100);
        lively.send("0\n");
        lively.expect("0000\n");
        std::this_thread::sleep_for(100ms); // The habit of a lively caller: now and then a word.
    }
    silent.expect_gone();
    expect_soon(server, "one child is left", [&] { return server.children() == 1; });
    lively.send("0\n");
    lively.expect("0000\n");
    expect_soon(server, "the log says why",
                [&] { return server.log() == "lost a caller: too slow\n"; });
}

TEST_CASE("step 12: our own slowness is not held against the caller, one byte now and then is") {
    Server server = step(12, {"--idle-timeout", "0.5"});
    Caller sleeps = greeted(server, "sleeps");
    sleeps.send("sleep 1000\n");
    Caller drip = greeted(server, "drip");
    try {
        // A byte each tenth of a second: the habit under test, longer than the timeout.
        for (int i = 0; i < 100 && !drip.has_news(); ++i) {
            drip.send("x");
            std::this_thread::sleep_for(100ms);
        }
    } catch (const Unexpected&) { // Dropped: what the test is about.
    }
    drip.expect_gone();
    sleeps.expect("ok\n");
}

TEST_CASE("the server logs the signal of which a child died") {
    Server server = step(12, {"--max-clients", "2"});
    Caller caller = greeted(server, "A");
    const std::string line = "child " + std::to_string(who_serves(caller)) + " died: Aborted\n";
    caller.send("crash\n");
    caller.expect_gone();
    expect_soon(server, "the log names it", [&] { return server.log() == line; });
}

TEST_CASE("the server, too, says goodbye before it closes") {
    Server server = step(12);
    expect_all_that_is_owed(server);
}

TEST_CASE("the server, too, leaves no zombie after a burst of 200") {
    Server server = step(12);
    leave_at_once(server, 200);
    expect_soon(server, "no zombie", [&] { return server.zombies() == 0; });
    server.stop();
}

TEST_CASE("step 13: eight children serve forty callers, and each says how many") {
    Server server = step(13);
    expect_soon(server, "eight children", [&] { return server.children() == 8; });
    std::set<pid_t> pids;
    for (int i = 0; i < 40; ++i) {
        Caller caller = greeted(server, std::to_string(i));
        pids.insert(who_serves(caller));
        caller.send("exit\n");
        caller.expect_end();
    }
    CHECK(pids.size() <= 8);
    CHECK(server.children() == 8);
    server.stop();
    expect_soon(server, "each says how many",
                [&] { return count_of(server.log(), " has served ") == 8; });
    const std::string log = server.log();
    int served = 0;
    for (size_t at = 0; (at = log.find(" has served ", at)) != std::string::npos; ++at)
        served += std::stoi(log.substr(at + 12));
    CHECK(served == 40);
}

TEST_CASE("step 13: a child that died is replaced") {
    Server server = step(13);
    expect_soon(server, "eight children", [&] { return server.children() == 8; });
    for (int i = 0; i < 10; ++i) { // more than there are children
        Caller caller = greeted(server, std::to_string(i));
        caller.send("crash\n");
        caller.expect_gone();
    }
    expect_soon(server, "eight children again",
                [&] { return server.children() == 8 && server.zombies() == 0; });
    expect_service(server, "the next");
}

TEST_CASE("a crew of eight: while eight callers are silent, the ninth waits") {
    Server server = step(13);
    std::list<Caller> silent;
    for (int i = 0; i < 8; ++i)
        silent.push_back(greeted(server, std::to_string(i)));
    Caller ninth = server.call("the ninth");
    ninth.expect_silence(500ms);
    silent.front().close();
    ninth.expect_line_like("Welcome to 10086, fork, *");
    server.stop();
}

TEST_CASE("a crew of one: who is silent too long loses the child, and the next caller has it") {
    Server server = step(13, {"--max-clients", "1", "--idle-timeout", "0.5"});
    Caller silent = greeted(server, "silent");
    const pid_t child = who_serves(silent);
    Caller next = server.call("the next");
    next.expect_line_like("Welcome to 10086, fork, *");
    silent.expect_gone();
    CHECK(who_serves(next) == child);
    next.send("exit\n");
    next.expect_end();
    expect_soon(server, "the log says why, once",
                [&] { return server.log() == "lost a caller: too slow\n"; });
}

TEST_CASE("prefork carries any service") {
    Server server = step(13, {"--service", "echo"});
    Caller caller = server.call("A");
    caller.send("hey");
    caller.expect("hey");
}

TEST_CASE("step 14: the connection is the same, its number in the child another one") {
    Server server = step(14);
    Caller caller = greeted(server, "A");
    caller.send("who\n");
    const std::string who = caller.expect_line_like("pid * thread * descriptor *");
    const std::string number = who.substr(who.rfind(' ') + 1);
    expect_soon(server, "the log names the number of the parent", [&] {
        const std::string log = server.log();
        return log.starts_with("descriptor ") && log.ends_with(" is on its way\n") &&
               log != "descriptor " + number + " is on its way\n";
    });
}

TEST_CASE("step 14: only the parent holds the listener, only the child the caller") {
    Server server = step(14);
    Caller caller = greeted(server, "A");
    const pid_t child = who_serves(caller);
    CHECK(sockets_held_by(child) == std::multiset{tcp_established});
    CHECK(sockets_held_by(server.pid()) == std::multiset{tcp_listen});
    for (const Process& process : tree_of(server.pid()))
        if (process.pid != child && process.pid != server.pid())
            CHECK(sockets_held_by(process.pid).empty());
    server.stop();
    caller.expect_end();
}

TEST_CASE("step 15: the child hangs on a lock of nobody, until its alarm clock ends it") {
    Server server = step(15);
    for (int i = 0; i < 2; ++i) { // every time
        Caller caller = server.call(std::to_string(i));
        caller.send("0\n");
        caller.expect_silence(400ms);
        caller.expect_gone();
    }
    expect_soon(server, "the log names the alarm clock, twice",
                [&] { return count_of(server.log(), " has ended: Alarm clock\n") == 2; });
}
