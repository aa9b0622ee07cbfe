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

constexpr rlim_t crowd = 2000;

// The hard limit on descriptors, as our soft one, and as the server's.
ServerOptions with_room_for_a_crowd() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < crowd + 100)
        throw Unexpected(Outcome::skipped, code_of(Outcome::skipped),
                         "2,000 callers need 2,100 descriptors, and the hard limit here is " +
                             std::to_string(limit.rlim_max) + " (ulimit -Hn)",
                         "");
    return {.limits = {{RLIMIT_NOFILE, limit.rlim_max}}};
}

std::vector<Caller> call_in_a_crowd(Server& server) {
    std::vector<Caller> callers;
    for (rlim_t i = 0; i < crowd; ++i)
        callers.push_back(server.call(std::to_string(i), {.within = 20s}));
    return callers;
}

// Greeted, turned away, or still waiting, after nothing more has come for a while.
struct Crowd {
    std::size_t greeted = 0;
    std::size_t refused = 0;
    std::size_t waiting = 0;
};

Crowd look_at(std::vector<Caller>& callers) {
    const auto with_news = [&] {
        return std::count_if(callers.begin(), callers.end(),
                             [](Caller& caller) { return caller.has_news(); });
    };
    auto seen = with_news();
    const Deadline enough = patient(10s);
    for (Deadline quiet(700ms); !quiet.passed() && !enough.passed();) {
        std::this_thread::sleep_for(50ms);
        if (const auto now = with_news(); now != seen) {
            seen = now;
            quiet = Deadline(700ms);
        }
    }
    Crowd crowd_seen;
    for (Caller& caller : callers) {
        if (!caller.has_news())
            ++crowd_seen.waiting;
        else if (caller.hears_now("Welcome to 10086, "))
            ++crowd_seen.greeted;
        else
            ++crowd_seen.refused;
    }
    return crowd_seen;
}

} // namespace

std::string many_callers(const Ground& ground) {
    Server server = start(ground, {}, with_room_for_a_crowd());
    std::vector<Caller> callers = call_in_a_crowd(server);
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
    std::vector<Caller> callers = call_in_a_crowd(server);
    const Crowd seen = look_at(callers);
    const std::string what = std::to_string(seen.greeted) + " greeted, " +
                             std::to_string(seen.refused) + " turned away, " +
                             std::to_string(seen.waiting) + " waiting";
    const bool alone = ground.serves_one_at_a_time();
    const bool select = ground.column.starts_with("02"); // its limit is FD_SETSIZE
    const std::string limit = alone    ? "1 greeted and all others waiting"
                              : select ? "fewer than 1,024 greeted and all others turned away"
                                       : "at least 100 greeted, and some not";
    const bool seen_limit = alone    ? seen.greeted == 1 && seen.refused == 0
                            : select ? seen.greeted < 1024 && seen.waiting == 0
                                     : seen.greeted < crowd;
    if (!server.alive() || !seen_limit || (!alone && seen.greeted < 100))
        server.fail(Outcome::wrong_bytes, "of 2,000 callers " + what + "; expected " + limit);
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
    after.expect_line_like("Welcome to 10086, *", 60s);
    after.expect("0000\n");
    return "of 2,000 callers " + what + "; the server goes on";
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

std::string idle_caller(const Ground& ground) {
    Server server = start(ground, {"--idle-timeout", "1"});
    Caller silent = greeted(server, "silent");
    auto begin = Clock::now();
    silent.expect_gone();
    const Seconds silence = Clock::now() - begin;

    Caller drip = greeted(server, "drip");
    begin = Clock::now();
    while (!drip.has_news()) { // its habit: a byte now and then, and never a whole line
        if (drip.send_some("x") == 0) break;
        std::this_thread::sleep_for(100ms);
        if (Clock::now() - begin > 5s * patience())
            server.fail(Outcome::no_eof, "who drips bytes is not dropped");
    }
    drip.expect_gone();
    drip.close();
    if (silence < 800ms || silence > 3s * patience())
        server.fail(Outcome::too_slow,
                    "with --idle-timeout 1 a silent caller was dropped after " + spelled(silence));

    Caller lively = greeted(server, "lively");
    for (int i = 0; i < 4; ++i) {
        std::this_thread::sleep_for(500ms);
        lively.send("0\n");
        lively.expect("0000\n");
    }
    return "with --idle-timeout 1 a silent caller is dropped after " + duration(silence) +
           ", a dripping one too; a lively one stays";
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
