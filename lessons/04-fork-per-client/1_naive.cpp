// 04 fork per client, step 1: naive.
//
// Idea     fork() makes a copy of the process. It comes back twice: in the parent with the number
//          of the child, in the child with 0. The child serves, the parent waits for the next.
// Run it   ./lab run 04/1    and in two more terminals    ./lab client 01 -- --port PORT
// See      Both are served at once, and `who` names two processes.
// Was      In lesson 03 all callers shared one memory: one crash hit them all.
// Broken   Say exit: the line stays open. And ps shows the child as <defunct>, a zombie.

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

int main() try {
    on_signal(SIGPIPE, SIG_IGN); // The child inherits this: send() says EPIPE, and nobody dies.
    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (caller == -1 && passes(errno)) continue;
        check(caller, "accept");

        // From here on two processes run the same lines. Nothing is copied yet: the kernel copies
        // a page of memory when one of the two writes to it.
        if (check(::fork(), "fork") == 0) {
            serve(Fd(caller));       // The child closes the connection at the end of this line.
            std::exit(EXIT_SUCCESS); // Without this the child would go on and accept callers, too.
        }
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
