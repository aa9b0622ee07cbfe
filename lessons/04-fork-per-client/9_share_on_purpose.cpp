// 04 fork per client, step 9: share on purpose.
//
// Idea     Memory that is mapped MAP_SHARED is not copied: parent and children see the same bytes.
//          So they share the count, and nothing else. Several write to it at once: it is atomic.
// Run it   ./lab run 04/9    and    ./lab client 04
// See      They count 1, 2, 3 ... And still A's crash harms A alone.
// Was      In step 8 each child counted in its own copy.
// Broken   A thousand callers are a thousand processes. When fork() fails, the server ends.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

std::atomic<bool> stop_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free);
extern "C" void ask_to_stop(int /*number*/) {
    stop_asked = true;
}

// Sleeps until a caller is at the door, or a signal comes. A plain poll() would do, but for one
// moment: a signal that comes after our last look and before the call wakes nobody. ppoll() opens
// the mask and falls asleep in one step, and when it wakes the mask is closed again.
void wait_for_news(const Fd& listener) {
    pollfd door{.fd = listener.number(), .events = POLLIN, .revents = 0};
    const sigset_t open = set_of({});
    const int count = ::ppoll(&door, 1, nullptr, &open);
    if (count == -1 && errno != EINTR) check(count, "ppoll");
}

// A T that parent and children share. It lies in a mapping of its own, which fork() does not copy.
template <typename T>
class Shared {
public:
    Shared() {
        void* memory =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) check(-1, "mmap");
        value_ = std::construct_at(static_cast<T*>(memory));
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::munmap(value_, sizeof(T)); }

    T& operator*() { return *value_; }

private:
    T* value_;
};

// The count is for all. What a caller says reaches nobody: the others are in other processes, and
// to carry it there would take a pipe to each of them.
class SharedSwitchboard final : public Switchboard {
public:
    void join(Member& /*member*/) override {}
    void leave(Member& /*member*/) override {}
    std::uint64_t count() override { return ++*count_; }
    void say(const Member& /*speaker*/, std::string_view /*line*/) override {}

private:
    // Lock-free, or else the lock would be in each process's own memory and lock nobody out.
    using Number = std::atomic<std::uint64_t>;
    static_assert(Number::is_always_lock_free);
    Shared<Number> count_;
};

// Serves one caller to the end. No exception leaves this function: in the child, what stands
// outside is the parent's work.
void serve(const Fd& caller, Switchboard& switchboard) try {
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

void close_the_diary() {
    std::cout << "the day is over, says process " << ::getpid() << '\n';
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
    on_signal(SIGTERM, ask_to_stop);
    on_signal(SIGINT, ask_to_stop);

    // Blocked means: they wait, each kind once, until we open the mask.
    const sigset_t ours = set_of({SIGCHLD, SIGTERM, SIGINT});
    check(::sigprocmask(SIG_BLOCK, &ours, nullptr), "sigprocmask");
}

int main() try {
    handle_signals();

    // A buffer of our own for std::cout, on a terminal too: what we say waits there until it is
    // full, or until the end.
    std::ios::sync_with_stdio(false);
    std::atexit(close_the_diary);

    // Who looks before they accept must not sleep in accept(): the caller may have left meanwhile.
    Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    SharedSwitchboard switchboard;
    int callers = 0;
    while (!stop_asked) {
        wait_for_news(listener);
        reap();
        const auto caller = pick_up(listener);
        if (!caller) continue;
        std::cout << "caller " << ++callers << '\n';
        if (check(::fork(), "fork") == 0) {
            // The child closes its copy of the listener. Else the port stays taken for as long as
            // any child lives, even when the parent has ended and wants to start again.
            listener = Fd();
            serve(*caller, switchboard);
            ::_exit(EXIT_SUCCESS); // The kernel closes what we hold, as at the end of any process.
        }
    } // Here the parent closes its copy of the caller. The next child does not inherit it.
    std::cout << "the next number is " << switchboard.count() << '\n';
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
