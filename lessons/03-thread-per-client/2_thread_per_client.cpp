// 03 thread per client, step 2: a thread for each caller.
//
// Idea     What a thread needs for its work, it owns: the caller moves into it. Nobody else has the
//          descriptor, so nobody else can close it, and it is closed when the thread ends.
// Run it   ./lab run 03/2    and nc 127.0.0.1 PORT in two terminals. Say `sleep 5000` in the first.
// See      The second is answered meanwhile. ps -L -p PID shows a thread more for each caller.
// Was      In step 1 a thread looked for its caller in a variable of the loop.
// Broken   The loop sleeps in accept() and can do nothing else. And one rude caller ends all.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "schedule_point.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

// The next caller.
Fd pick_up(const Fd& listener) {
    while (true) {
        const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (caller != -1) return Fd(caller);
        if (passes(errno)) continue;
        if (!is_short_of_room(errno)) check(caller, "accept");
        log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
        ::sleep(1);
    }
}

// One conversation, from the greeting to the goodbye. Every line of it may sleep.
void serve(const Fd& caller) {
    PlainSwitchboard switchboard; // For this caller alone: they count for themselves.
    const auto service = make_service("hotline", "thread", caller, switchboard);
    converse(caller, *service);
    say_goodbye(caller);
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        Fd caller = pick_up(listener);

        // An Fd cannot be copied, so the compiler makes us say it: the caller moves into the
        // function, and the function moves into the thread. What is left here owns nothing.
        std::thread([caller = std::move(caller)] {
            schedule_point("a thread begins");
            serve(caller);
        }).detach(); // Nobody waits for its end. That is easy now, and a debt: step 12 pays it.
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
