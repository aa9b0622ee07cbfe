// 04 fork per client, step 3: reap one.
//
// Idea     When a child ends, the kernel keeps how it ended until the parent asks, with wait().
//          Until then the dead child is a zombie: no memory, but a place in the table of processes.
//          The kernel sends SIGCHLD to say that there is something to ask.
// Run it   ./lab run 04/3    and    ./lab client 01 -- --port PORT
// See      Say exit: ps shows no zombie.
// Was      In step 2 nobody asked, and every caller left a zombie.
// Broken   Signals do not queue. When twenty children end at once, SIGCHLD comes perhaps once: one
//          is reaped, nineteen stay.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
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

// Asks how a child has ended, and forgets the answer. Only now the kernel forgets the child.
extern "C" void reap(int /*number*/) {
    ::wait(nullptr);
}

int main() try {
    on_signal(SIGPIPE, SIG_IGN); // The child inherits this: send() says EPIPE, and nobody dies.
    on_signal(SIGCHLD, reap);
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
