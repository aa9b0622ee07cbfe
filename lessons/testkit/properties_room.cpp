// P17 to P21: memory, descriptors and time are bounded, and so is the end.
#include "properties.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <future>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t mebibyte = 1 << 20;

std::string mebibytes(std::size_t bytes) {
    return std::to_string((bytes + mebibyte / 2) / mebibyte) + " MiB";
}

} // namespace

std::string bounded_memory(const Ground& ground) {
    constexpr int greedy = 8;
    Server server = start(ground);
    expect_service(server, "before");
    const std::size_t before = server.memory().shared_out;
    std::vector<Caller> callers;
    for (int i = 0; i < greedy; ++i) {
        callers.push_back(server.call(std::to_string(i), {.receive_buffer = 65'536}));
        callers.back().send("big 60000000\n");
        callers.back().stop_reading();
        // And more requests, as many as the kernel takes for a server that does not read on.
        const std::string more = repeated(2000, "big 60000000\n");
        for (int k = 0; k < 200 && callers.back().send_some(more) > 0; ++k) {
        }
    }
    // PSS, as a forked child shares most of its pages with its parent until one of them writes.
    std::size_t most = before;
    const Deadline watching(1s);
    while (!watching.passed()) {
        most = std::max(most, server.memory().shared_out);
        std::this_thread::sleep_for(50ms); // each look at the page tables costs a little
    }
    // Each may cost a thread or a process of its own; nobody may cost what they asked for.
    const std::size_t bound = (ground.sanitized ? 400 : 16 + greedy * 4) * mebibyte;
    if (most - before > bound)
        server.fail(Outcome::too_slow, "8 callers who do not read cost " +
                                           mebibytes(most - before) + ", expected at most " +
                                           mebibytes(bound));
    callers.clear();
    expect_service(server, "after");
    return "8 callers who ask for 60 MB each, many times over, and do not read cost " +
           mebibytes(most - before);
}

namespace {

constexpr rlim_t most_callers = 2000;

// Where each caller costs a fork, also those who have given up when their turn comes, as many as the
// machine forks in ten seconds; all are more than the server's own limit, which is 200.
rlim_t crowd_for(const Ground& ground) {
    if (!ground.forks()) return most_callers;
    const Seconds each = Seconds(0.0015) * timeout_scale();
    return std::clamp(static_cast<rlim_t>(Seconds(10) / each), rlim_t{500}, most_callers);
}

// The hard limit on descriptors, as our soft one, and as the server's.
ServerOptions with_room_for_a_crowd() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < most_callers + 100)
        throw Unexpected(Outcome::skipped, code_of(Outcome::skipped),
                         "2,000 callers need 2,100 descriptors, and the hard limit here is " +
                             std::to_string(limit.rlim_max) + " (ulimit -Hn)",
                         "");
    return {.limits = {{RLIMIT_NOFILE, limit.rlim_max}}};
}

std::vector<Caller> call_in_a_crowd(Server& server, rlim_t crowd) {
    std::vector<Caller> callers;
    for (rlim_t i = 0; i < crowd; ++i)
        callers.push_back(server.call(std::to_string(i), {.within = 20s}));
    return callers;
}

// Greeted, turned away, or still waiting.
struct Crowd {
    std::size_t greeted = 0;
    std::size_t refused = 0;
    std::size_t waiting = 0;
};

Crowd look_at(std::vector<Caller>& callers) {
    Crowd crowd;
    for (Caller& caller : callers) {
        if (!caller.has_news())
            ++crowd.waiting;
        else if (caller.hears_now("Welcome to 10086, "))
            ++crowd.greeted;
        else
            ++crowd.refused;
    }
    return crowd;
}

// Looks until all is as `expected`, and nothing has come for a while: for ten times the longest time
// between two looks that showed something new. A crowd that is served slowly is still on its way.
Crowd watch(Server& server, std::vector<Caller>& callers, const auto& expected) {
    Crowd seen;
    Seconds longest_gap = 70ms;
    auto last = Clock::now();
    Deadline deadline = scaled(20s);
    while (server.alive() && !deadline.passed()) {
        const Crowd now = look_at(callers);
        const Seconds gap = Clock::now() - last;
        if (now.waiting != seen.waiting) {
            longest_gap = std::max(longest_gap, gap);
            last = Clock::now();
            deadline.renew();
        }
        seen = now;
        if (expected(seen) && gap > 10 * longest_gap) break;
        std::this_thread::sleep_for(50ms);
    }
    return seen;
}

} // namespace

std::string many_callers(const Ground& ground) {
    Server server = start(ground, {}, with_room_for_a_crowd());
    std::vector<Caller> callers = call_in_a_crowd(server, most_callers);
    for (Caller& caller : callers)
        caller.expect_line_like("Welcome to 10086, *", 20s);
    for (Caller& caller : callers)
        caller.send("0\n");
    for (Caller& caller : callers)
        caller.expect("0000\n", 20s);
    return "2,000 callers are there at once, and each is answered";
}

std::string many_callers_limit(const Ground& ground) {
    Server server = start(ground, {}, with_room_for_a_crowd());
    const rlim_t crowd = crowd_for(ground);
    std::vector<Caller> callers = call_in_a_crowd(server, crowd);
    const bool alone = ground.serves_one_at_a_time();
    const bool select = ground.column.starts_with("02"); // its limit is FD_SETSIZE
    const auto as_expected = [&](const Crowd& seen) {
        if (alone) return seen.greeted == 1 && seen.refused == 0;
        if (seen.greeted < 100) return false;
        return select ? seen.greeted < 1024 && seen.waiting == 0 : seen.greeted < crowd;
    };
    const Crowd seen = watch(server, callers, as_expected);
    const std::string what = "of " + counted(crowd, "caller") + ' ' + std::to_string(seen.greeted) +
                             " greeted, " + std::to_string(seen.refused) + " turned away, " +
                             std::to_string(seen.waiting) + " waiting";
    if (!server.alive() || !as_expected(seen)) {
        const std::string limit = alone    ? "1 greeted and all others waiting"
                                  : select ? "fewer than 1,024 greeted and all others turned away"
                                           : "at least 100 greeted, and some not";
        server.fail(Outcome::wrong_bytes, what + "; expected " + limit);
    }
    // Those within the limit are served as if they were alone.
    std::size_t answered = 0;
    for (Caller& caller : callers) {
        if (answered == seen.greeted) break;
        if (!caller.has_news() || !caller.hears_now("Welcome to 10086, ")) continue;
        caller.expect_line_like("Welcome to 10086, *");
        caller.send("0\n");
        caller.expect("0000\n");
        ++answered;
    }
    callers.clear();
    // Those who have given up stand in the queue before this one, and may cost a process each.
    Caller after = server.call("after");
    after.send("0\n");
    after.expect_line_like("Welcome to 10086, *", 20s); // renewed while the queue gets shorter
    after.expect("0000\n");
    return what + "; the server goes on";
}

std::string descriptor_limit(const Ground& ground) {
    Server server = start(ground);
    expect_service(server, "before");
    server.settle({server.descriptors(), 1 << 20, 0, 0});
    const auto free = static_cast<rlim_t>(lowest_free_descriptor(server.pid()));
    server.limit(RLIMIT_NOFILE, free);
    // A server that already waits in accept() has its descriptor: the kernel sets it aside first.
    Caller lucky = server.call("lucky");
    std::this_thread::sleep_for(500ms);
    const bool was_lucky = lucky.has_news();
    // From here on accept() fails with EMFILE, while the waiting caller keeps the listener readable:
    // a loop that tries again at once never sleeps.
    if (was_lucky) lucky.close();
    Caller waiting = server.call("waiting");

    const auto begin = Clock::now();
    const Seconds cpu_before = server.cpu_time();
    const Seconds eager_before = server.eager_time();
    std::this_thread::sleep_for(1500ms); // the time over which it is measured
    const Seconds cpu = server.cpu_time() - cpu_before;
    const Seconds eager = server.eager_time() - eager_before;
    const Seconds time = Clock::now() - begin;
    const std::string share = std::to_string(static_cast<int>(cpu / time * 100)) + " %";
    if (cpu > 0.2 * time || eager > 0.9 * time)
        server.fail(Outcome::cpu_spin, "without a free descriptor the server takes " + share +
                                           " of a processor while callers wait, or waits for one "
                                           "all the time; expected less than 20 %");
    server.limit(RLIMIT_NOFILE, 1000);
    if (!was_lucky) lucky.close();
    waiting.close();
    expect_service(server, "after");
    return "CPU " + share + " without a free descriptor; with one again, the next caller is served";
}

namespace {

// Says a line every tenth of the idle timeout, for two of them. A machine that keeps one of its
// lines for half of the timeout makes an idle caller of it: false.
bool lively_one_stays(Server& server, Seconds idle_timeout) {
    Caller lively = greeted(server, "lively");
    auto last = Clock::now();
    for (int i = 0; i < 20; ++i) {
        std::this_thread::sleep_for(idle_timeout / 10);
        try {
            lively.send("0\n");
            lively.expect("0000\n");
        } catch (const Unexpected&) {
            if (Clock::now() - last < idle_timeout / 2) throw;
            return false;
        }
        last = Clock::now();
    }
    return true;
}

} // namespace

std::string idle_caller(const Ground& ground) {
    Server server = start(ground, {"--idle-timeout", "1"});
    const auto begin = Clock::now();
    Caller silent = greeted(server, "silent");
    silent.expect_gone();
    const Seconds silence = Clock::now() - begin;
    if (silence < 1s)
        server.fail(Outcome::wrong_bytes,
                    "with --idle-timeout 1 a silent caller was dropped after " + duration(silence));

    Caller drip = greeted(server, "drip");
    const Deadline deadline = scaled(5s);
    while (!drip.has_news()) { // its habit: a byte now and then, and never a whole line
        if (drip.send_some("x") == 0) break;
        std::this_thread::sleep_for(100ms);
        if (deadline.passed()) server.fail(Outcome::no_eof, "who drips bytes is not dropped");
    }
    drip.expect_gone();
    drip.close();

    int seconds = 1;
    if (!lively_one_stays(server, Seconds(seconds))) {
        seconds = 10; // for a machine on which a line may take half a second
        Server calm = start(ground, {"--idle-timeout", std::to_string(seconds)});
        if (!lively_one_stays(calm, Seconds(seconds)))
            calm.fail(Outcome::harness, "a line takes five seconds here: too slow to judge");
    }
    return "with --idle-timeout 1 a silent caller is dropped, a dripping one too; with " +
           std::to_string(seconds) + " a lively one stays";
}

std::string goodbye_on_sigterm(const Ground& ground) {
    start(ground).stop(); // while nobody calls

    const std::size_t size = long_answer();
    constexpr std::size_t read_before = 10'000;
    const std::string bytes = big_answer(size);
    Server server = start(ground);
    Caller a = greeted(server, "A");
    a.send("big " + std::to_string(size) + '\n');
    a.expect(bytes.substr(0, read_before)); // A is being served
    Caller b = server.call("B");
    const std::string_view rest = std::string_view(bytes).substr(read_before);
    const auto begin = Clock::now();
    server.signal(SIGTERM);
    a.expect(rest);
    a.expect_end();
    b.expect_gone();
    const int status = server.wait_exit(2s);
    const Seconds time = Clock::now() - begin;
    if (status != 0)
        server.fail(Outcome::bad_exit, "on SIGTERM the server ends with status " +
                                           std::to_string(status) + "; expected 0");
    return "what was owed is sent to the last byte, exit 0 after " + duration(time);
}
