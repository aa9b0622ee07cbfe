// 03 thread per client, step 5: a race.
//
// Idea     Threads share all memory of the process. That is what makes them useful: one number for
//          all callers is one variable. And it is what makes them dangerous.
// Run it   HOLD="count is read" ./lab run 03/5    then nc 127.0.0.1 PORT in two terminals: `count`
//          in the first, `count` in the second, and then kill -USR1 PID.
// See      Both callers get the number 1.
// Was      In step 4 each caller had a number of their own.
// Broken   One of two counts is lost. Without HOLD it is one in some millions, and you never see
//          it.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "schedule_point.hpp"

#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

// Sleeps until somebody calls, a second at most. Was it somebody? One descriptor is all we ask
// about: the callers have threads, which may sleep for themselves.
bool somebody_calls(const Fd& listener) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(listener.number(), &readable);
    timeval second{.tv_sec = 1, .tv_usec = 0}; // Linux counts it down: it is set anew each time.
    const int ready = ::select(listener.number() + 1, &readable, nullptr, nullptr, &second);
    if (ready == -1 && errno == EINTR) return false;
    return check(ready, "select") > 0;
}

// The next caller. Nothing, where they are gone again: the listener does not block (lesson 02).
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller != -1) return Fd(caller);
    if (errno == EAGAIN || passes(errno)) return std::nullopt;
    if (!is_short_of_room(errno)) check(caller, "accept");
    log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
    ::sleep(1);
    return std::nullopt;
}

// What all callers share.
class Counter final : public Switchboard {
public:
    void join(Member& /*member*/) override {}
    void leave(Member& /*member*/) override {}
    void say(const Member& /*speaker*/, std::string_view /*line*/) override {} // Step 7.

    // This is ++count_, which the processor, too, does in three steps: it reads the number, adds
    // one, and writes it back. Another thread may come in between. It reads the same number, and
    // both write the same one.
    std::uint64_t count() override {
        const auto seen = count_;
        schedule_point("count is read");
        count_ = seen + 1;
        return seen + 1;
    }

private:
    std::uint64_t count_ = 0;
};

// One conversation, from the greeting to the goodbye. Every line of it may sleep.
void serve(const Fd& caller, Counter& counter) try {
    const auto service = make_service("hotline", "thread", caller, counter);
    converse(caller, *service);
    say_goodbye(caller);
} catch (const std::exception& error) {
    // main() has a catch, too, but no exception finds it from here: each thread has a stack of its
    // own, and under our outermost line there is only the end of the process.
    log_line("lost a caller: ", error.what());
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    Counter counter;
    int calls = 0;
    for (int turn = 1; true; ++turn) {
        if (somebody_calls(listener)) {
            if (auto caller = pick_up(listener)) {
                ++calls;
                std::thread([caller = std::move(*caller), &counter] {
                    schedule_point("a thread begins");
                    serve(caller, counter);
                }).detach(); // Nobody waits for its end: a debt, and step 12 pays it.
            }
        }
        // The other work. Here it is a line in the log; step 12 looks for threads that have ended,
        // and the server for callers who have said nothing for too long.
        log_line("turn ", std::to_string(turn), ", ", std::to_string(calls), " calls so far");
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
