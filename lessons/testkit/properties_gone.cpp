// P07 to P12: callers who leave without a word, signals, and what must not pile up.
#include "properties.hpp"

#include <csignal>

#include <atomic>
#include <future>
#include <thread>

using namespace std::chrono_literals;

namespace {

// SIGSTOP holds every process of the server while its kernel goes on: it makes connections, queues
// bytes, notes resets. So what callers do is done before the server sees any of it, every time.
void while_it_stands_still(Server& server, const auto& happening) {
    server.signal_all(SIGSTOP);
    happening();
    server.signal_all(SIGCONT);
}

} // namespace

std::string resets(const Ground& ground) {
    Server server = start(ground);
    for (int i = 0; i < 20; ++i) {
        server.call("at once").reset();
        greeted(server, "after the greeting").reset();
        Caller rude = greeted(server, "in an answer", {.receive_buffer = 65'536});
        rude.send("big 20000000\n");
        rude.read_exactly(50'000);
        rude.reset();
    }
    expect_service(server, "polite");
    return "after 60 resets, 20 of them in the middle of an answer, the next caller is served";
}

std::string gone_before_accept(const Ground& ground) {
    Server server = start(ground);
    for (int round = 0; round < 3; ++round) {
        while_it_stands_still(server, [&] {
            for (int i = 0; i < 20; ++i) {
                server.call("closes").close();
                server.call("resets").reset();
                server.call("vanishes").vanish();
            }
        });
        expect_service(server, "stays");
    }
    return "180 callers come and go before it can look; those who stay are served";
}

std::string writing_to_the_gone(const Ground& ground) {
    Server server = start(ground);
    for (int i = 0; i < 10; ++i) {
        Caller vanishes = greeted(server, "vanishes");
        while_it_stands_still(server, [&] {
            vanishes.send(repeated(200, "echo are you there?\n"));
            // FIN, then RST: after a FIN the reset is EPIPE to a send, and SIGPIPE. A reset alone
            // would be ECONNRESET, which kills nobody.
            vanishes.vanish();
        });
        Caller closes = greeted(server, "closes", {.receive_buffer = 65'536});
        closes.send("big 20000000\n");
        closes.read_exactly(50'000);
        closes.close(); // with answers unread: the server is reset while it writes
    }
    expect_service(server, "stays");
    return "20 callers are gone when their answers come; the next one is served";
}

std::string signal_storm(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    std::atomic<bool> over = false;
    std::atomic<int> rounds = 0;
    // Even without a handler, stopping and going on interrupts some calls: signal(7) lists them.
    auto storm = std::async(std::launch::async, [&] {
        for (; !over; ++rounds) {
            for (const int number : {SIGCHLD, SIGWINCH, SIGURG, SIGSTOP, SIGCONT})
                server.signal_all(number);
            std::this_thread::sleep_for(1ms);
        }
    });
    const auto talk = [&] {
        const std::string answers = "0000\nok\n" + big_answer(500'000);
        const Deadline blowing(1s);
        do {
            a.send("0\nsleep 5\nbig 500000\n");
            a.expect(answers, 20s);
        } while (!blowing.passed());
        a.close();
        expect_service(server, "B");
    };
    try {
        talk();
    } catch (...) {
        over = true; // a storm that goes on would keep us waiting for ever
        throw;
    }
    over = true;
    storm.get();
    return "exact answers through " + counted(static_cast<std::size_t>(rounds) * 5, "signal");
}

std::string descriptors_return(const Ground& ground) {
    Server server = start(ground);
    const auto visit = [&](int i) {
        if (i % 5 == 0) return server.call("leaves").close();
        Caller caller = greeted(server, "caller");
        if (i % 5 == 1) return caller.reset();
        caller.send(i % 5 == 2 ? "exit\n" : "0\n");
        if (i % 5 == 2) return caller.expect_end();
        caller.expect("0000\n");
        if (i % 5 == 3) return caller.vanish();
    };
    for (int i = 0; i < 20; ++i)
        visit(i); // what it allocates once, it has now
    expect_service(server, "before");
    server.settle({server.descriptors(), 1 << 20, 0, 0}); // the last visitor may still be leaving
    const Counts before = server.counts();
    // Where a fork is slow, fewer callers: of a leak for each of them 100 show enough.
    int visitors = 0;
    for (const Deadline enough(5s); visitors < 100 || (visitors < 1000 && !enough.passed());)
        visit(visitors++);
    server.settle(before, 5s);
    const Counts after = server.counts();
    return counted(static_cast<std::size_t>(before.descriptors), "descriptor") + " before, " +
           std::to_string(after.descriptors) + " after " +
           counted(static_cast<std::size_t>(visitors), "caller") + "; threads " +
           std::to_string(before.threads) + " and " + std::to_string(after.threads);
}

std::string no_zombies(const Ground& ground) {
    Server server = start(ground);
    expect_service(server, "before");
    Counts before = server.counts();
    before.zombies = 0;
    for (int burst = 0; burst < 4; ++burst) {
        std::vector<Caller> callers;
        callers.reserve(50);
        for (int i = 0; i < 50; ++i)
            callers.push_back(server.call(std::to_string(i)));
        for (Caller& caller : callers)
            caller.expect_line_like("Welcome to 10086, *");
    } // here 50 callers leave at once
    // One SIGCHLD may stand for many children: who reaps one for each signal keeps zombies.
    server.settle({before.descriptors, before.threads, before.children, 0}, 5s);
    return "no zombie is left after 200 callers in bursts of 50";
}
