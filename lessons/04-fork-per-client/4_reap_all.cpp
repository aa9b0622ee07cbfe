// 04 fork per client, step 4: reap all.
//
// Idea     One SIGCHLD says: at least one child has ended. So the handler asks until there is none
//          left to ask about. WNOHANG: it does not wait for those that still live.
// Run it   ./lab run 04/4    and then    for i in $(seq 200); do nc -z 127.0.0.1 PORT & done; wait
// See      ps shows no zombie, however many leave at once.
// Was      Step 3 reaped one for each signal, and signals do not queue.
// Broken   A handler may do very little. This one cannot even say who has ended, or of what.

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

// Asks how each child has ended, and forgets the answers. Only now the kernel forgets the children.
// The handler runs between any two instructions of the program: perhaps a call has failed, and the
// next line is about to read errno. Here waitpid() always fails in the end, so we put errno back.
extern "C" void reap(int /*number*/) {
    const int error = errno;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    errno = error;
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
