// 03 thread per client, step 1: wrong capture.
//
// Idea     A thread for each caller: it may sleep in recv() for as long as it likes, while others
//          serve others. The kernel takes care of whose turn it is.
// Run it   ./lab run 03/1    and nc 127.0.0.1 PORT twice. Say `echo my secret` in the first.
// See      The second one hears it. Or start it with HOLD="a thread begins", and after the second
//          call kill -USR1 PID: the first one is hung up on, and the second is welcomed twice.
// Was      In lesson 02 a handler that slept put everybody to sleep.
// Broken   The thread does not have the caller. It has a reference to the loop's variable, and when
//          it comes to look, somebody else is in it.

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
    Fd caller;
    while (true) {
        caller = pick_up(listener); // The one before ends here: their descriptor is closed.

        // [&caller] is not the caller, it is where the loop keeps them. The thread looks there
        // again each time it wants to say or hear something. With one caller that works for ever.
        std::thread([&caller] {
            schedule_point("a thread begins");
            serve(caller);
        }).detach();
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
