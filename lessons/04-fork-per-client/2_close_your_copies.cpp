// 04 fork per client, step 2: close your copies.
//
// Idea     fork() copies the descriptors, not what they name. Now two descriptors lead to one
//          connection, and it ends when the last one is closed. So each process closes at once
//          what is the other's: the parent the caller, the child the listener.
// Run it   ./lab run 04/2    and    ./lab client 01 -- --port PORT
// See      Say exit: the line is dead. ls -l /proc/PID/fd shows who holds what.
// Was      In step 1 the child closed the connection, and the parent held it open.
// Broken   ps still shows each child that has ended: a zombie, for as long as the server lives.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>

void on_signal(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    check(::sigaction(number, &action, nullptr), "sigaction");
}

// Serves one caller to the end. No exception leaves this function: in the child, what stands
// outside is the parent's work.
void serve(const Fd& caller) try {
    PlainSwitchboard switchboard;
    const auto service = make_service("hotline", "fork", caller, switchboard);
    converse(caller, *service);
} catch (const std::exception& error) {
    log_line("lost a caller: ", error.what());
}

// The next caller; nobody where they have left again, or a signal has come.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller == -1 && (errno == EAGAIN || passes(errno))) return std::nullopt;
    return Fd(check(caller, "accept"));
}

int main() try {
    on_signal(SIGPIPE, SIG_IGN); // The child inherits this: send() says EPIPE, and nobody dies.
    Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const auto caller = pick_up(listener);
        if (!caller) continue;
        if (check(::fork(), "fork") == 0) {
            // The child closes its copy of the listener. Else the port stays taken for as long as
            // any child lives, even when the parent has ended and wants to start again.
            listener = Fd();
            serve(*caller);
            std::exit(EXIT_SUCCESS);
        }
    } // Here the parent closes its copy of the caller. The next child does not inherit it.
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
