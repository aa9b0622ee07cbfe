// 03 thread per client, step 4: exceptions.
//
// Idea     An exception that nobody catches ends the whole process, whichever thread it flies in.
//          So each thread catches at its outermost line: what goes wrong with one caller ends
//          there.
// Run it   ./lab run 03/4    and then    python3 clients/hostile/resetter.py --port PORT
// See      "lost a caller", and the server goes on. Step 3 says "terminate called" and is gone.
// Was      In step 3 a caller who hung up in the middle of an answer took the server with them.
// Broken   Each caller counts for themselves, and nobody hears what the others say.

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
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
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

// One conversation, from the greeting to the goodbye. Every line of it may sleep.
void serve(const Fd& caller) try {
    PlainSwitchboard switchboard; // For this caller alone: they count for themselves.
    const auto service = make_service("hotline", "thread", caller, switchboard);
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
    int calls = 0;
    for (int turn = 1; true; ++turn) {
        if (somebody_calls(listener)) {
            if (auto caller = pick_up(listener)) {
                ++calls;
                std::thread([caller = std::move(*caller)] {
                    schedule_point("a thread begins");
                    serve(caller);
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
