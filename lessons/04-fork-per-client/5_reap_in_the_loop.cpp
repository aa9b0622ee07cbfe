// 04 fork per client, step 5: reap in the loop.
//
// Idea     Signals are blocked, except while we sleep. So a handler has nothing to do but to wake
//          us, and the loop reaps: there every call is allowed, and nothing comes in between.
// Run it   ./lab run 04/5    and in a second terminal    ./lab client 04
// See      A says crash: the log says which child died, and of what. The others go on.
// Was      In step 4 the handler did the work, and could do little more.
// Broken   On Ctrl-C the server dies in the middle of whatever it does.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <optional>
#include <string>

void on_signal(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    check(::sigaction(number, &action, nullptr), "sigaction");
}

sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : signals)
        sigaddset(&set, number);
    return set;
}

// Does nothing. But a signal that has a handler wakes the call in which we sleep.
extern "C" void wake(int /*number*/) {}

// Sleeps until a caller is at the door, or a signal comes. A plain poll() would do, but for one
// moment: a signal that comes after our last look and before the call wakes nobody. ppoll() opens
// the mask and falls asleep in one step, and when it wakes the mask is closed again.
void wait_for_news(const Fd& listener) {
    pollfd door{.fd = listener.number(), .events = POLLIN, .revents = 0};
    const sigset_t open = set_of({});
    const int count = ::ppoll(&door, 1, nullptr, &open);
    if (count == -1 && errno != EINTR) check(count, "ppoll");
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

// Asks how each child has ended, until nobody is left to ask about.
void reap() {
    int status = 0;
    while (true) {
        const pid_t child = ::waitpid(-1, &status, WNOHANG);
        if (child <= 0) return; // 0: the others live. -1: there are no others.
        const char* how = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it was done";
        log_line("child ", std::to_string(child), " has ended: ", how);
    }
}

void handle_signals() {
    on_signal(SIGPIPE, SIG_IGN); // The child inherits this: send() says EPIPE, and nobody dies.
    on_signal(SIGCHLD, wake);

    // Blocked means: they wait, each kind once, until we open the mask.
    const sigset_t ours = set_of({SIGCHLD});
    check(::sigprocmask(SIG_BLOCK, &ours, nullptr), "sigprocmask");
}

int main() try {
    handle_signals();

    // Who looks before they accept must not sleep in accept(): the caller may have left meanwhile.
    Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    while (true) {
        wait_for_news(listener);
        reap();
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
