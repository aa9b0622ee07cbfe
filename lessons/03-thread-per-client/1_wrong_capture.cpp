// 03 thread per client, step 1: wrong capture.
//
// Idea     A thread for each caller: it may sleep in recv() for as long as it likes, while others
//          serve others. The kernel takes care of whose turn it is.
// Run it   HOLD="a thread begins" ./lab run 03/1    then nc 127.0.0.1 PORT in two terminals, and then
//          kill -USR1 PID, with the process number of the greeting.
// See      The first caller is hung up on. The second one is welcomed twice.
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
        caller = pick_up(listener); // The one before ends here, and with it their connection.

        // The thread begins when the kernel likes, and that is often before the next caller comes.
        // So this works nearly always, and on the day when many call at once it does not.
        std::thread([&caller] {
            schedule_point("a thread begins");
            serve(caller);
        }).detach();
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
