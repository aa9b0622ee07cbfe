// 04 fork per client, step 11: stopping.
//
// Idea     On SIGTERM the parent tells its children, waits for a second, kills who still lives, and
//          reaps them all. A child that is told hears no more, answers what it owes, and leaves.
// Run it   ./lab run 04/11    and twice    ./lab client 01 -- --port PORT    then Ctrl-C
// See      Both lines end. ps shows no process of the server. kill -9 PARENT leaves none either.
// Was      In step 10 the children of a server that had ended lived on.
// Broken   A caller who says nothing keeps a process for ever, and eight of them keep the server.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using Clock = std::chrono::steady_clock; // A clock that nobody can set back.
using namespace std::chrono_literals;

constexpr int most_callers = 8; // So few that you can see what happens then.
constexpr auto grace = 1s;      // How long children may take to finish.
constexpr int no_door = -1;     // ppoll() looks past a door with a negative number.

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

// Sleeps until a caller is at the door, a signal comes, or the time is over. Only in here signals
// get in (step 5). Returns -1 if it cannot sleep, and errno says why.
int wait_for_news(int door, Clock::duration time = 1h) {
    pollfd news{.fd = door, .events = POLLIN, .revents = 0};
    time = std::max(time, Clock::duration::zero());
    const timespec longest{.tv_sec = time / 1s, .tv_nsec = time % 1s / 1ns};
    const sigset_t open = set_of({});
    const int count = ::ppoll(&news, 1, &longest, &open);
    if (count > 0) { // Then no signal got in. Callers who keep coming would keep SIGTERM out.
        sigset_t closed;
        check(::sigprocmask(SIG_SETMASK, &open, &closed), "sigprocmask");
        check(::sigprocmask(SIG_SETMASK, &closed, nullptr), "sigprocmask");
    }
    return count == -1 && errno == EINTR ? 0 : count;
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

// In a child: the one connection that it has, for its signal handlers.
std::atomic<int> the_caller = -1;
static_assert(std::atomic<int>::is_always_lock_free);

// A handler runs between any two instructions: perhaps the next one is about to read errno.
// shutdown() is one of the calls that are allowed here (signal-safety(7)).
void end_direction(int which) {
    const int error = errno;
    ::shutdown(the_caller, which);
    errno = error;
}

// From now on recv() reports the end, whether it sleeps already or is about to begin: no signal is
// lost. Words that have come are still heard, and send() works as before.
extern "C" void hear_no_more(int /*number*/) {
    end_direction(SHUT_RD);
}

// What a child does first. All signals are blocked from before the fork to the last line, so that
// none finds a handler of the parent in here.
void begin_life(const Fd& caller, pid_t parent) {
    // When the parent dies, of whatever, the kernel sends us this signal. But the parent may have
    // died before we asked for it: then we are somebody else's child by now.
    check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    if (::getppid() != parent) ::_exit(EXIT_FAILURE);

    the_caller = caller.number();
    on_signal(SIGTERM, hear_no_more);
    on_signal(SIGINT, hear_no_more); // Ctrl-C reaches every process of the terminal.
    const sigset_t open = set_of({});
    check(::sigprocmask(SIG_SETMASK, &open, nullptr), "sigprocmask");
}

// Serves one caller to the end. No exception leaves this function: in the child, what stands
// outside is the parent's work.
void serve(const Fd& caller, pid_t parent, Switchboard& switchboard) try {
    begin_life(caller, parent);
    const auto service = make_service("hotline", "fork", caller, switchboard);
    converse(caller, *service);
    say_goodbye(caller);
} catch (const std::exception& error) {
    log_line("lost a caller: ", error.what());
}

// The next caller; nobody where they have left again, or where we have no room.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller == -1 && (errno == EAGAIN || passes(errno))) return std::nullopt;
    if (caller == -1 && is_short_of_room(errno)) {
        log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
        check(wait_for_news(no_door, 1s), "ppoll");
        return std::nullopt;
    }
    return Fd(check(caller, "accept"));
}

// Owns our children, as long as they are not reaped: until then their numbers are nobody else's.
class Children {
public:
    // All room is taken now, so that add() need not ask for memory: it could not say no any more.
    explicit Children(int most) : most_(most) { pids_.reserve(static_cast<std::size_t>(most)); }
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;

    // Whatever ends the server, no child is left. This must not run in a child, which has a copy of
    // us: it would end its brothers and sisters. _exit() runs no destructor.
    ~Children() {
        for (const pid_t child : pids_)
            ::kill(child, SIGTERM);
        const auto deadline = Clock::now() + grace;
        while (!pids_.empty() && Clock::now() < deadline &&
               wait_for_news(no_door, deadline - Clock::now()) != -1)
            reap();
        for (const pid_t child : pids_) {
            ::kill(child, SIGKILL); // Nobody can refuse this one, so the wait is short.
            ::waitpid(child, nullptr, 0);
        }
    }

    bool full() const { return std::ssize(pids_) >= most_; }
    void add(pid_t child) { pids_.push_back(child); }

    // Asks how each child has ended, until nobody is left to ask about. An end without a signal is
    // the usual one, and not worth a line.
    void reap() {
        int status = 0;
        while (true) {
            const pid_t child = ::waitpid(-1, &status, WNOHANG);
            if (child <= 0) return; // 0: the others live. -1: there are no others.
            std::erase(pids_, child);
            if (!WIFSIGNALED(status)) continue;
            log_line("child ", std::to_string(child), " died: ", strsignal(WTERMSIG(status)));
        }
    }

private:
    int most_;
    std::vector<pid_t> pids_;
};

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
    const pid_t server = ::getpid();
    SharedSwitchboard switchboard;
    Children children(most_callers);

    // Who looks before they accept must not sleep in accept(): the caller may have left meanwhile.
    // The listener goes before the children: first nobody new comes in, then all leave.
    Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    while (!stop_asked) {
        check(wait_for_news(children.full() ? no_door : listener.number()), "ppoll");
        children.reap();
        if (children.full()) continue;
        const auto caller = pick_up(listener);
        if (!caller) continue;
        const pid_t child = ::fork();
        if (child == 0) {
            // The child closes its copy of the listener. Else the port stays taken for as long as
            // any child lives, even when the parent has ended and wants to start again.
            listener = Fd();
            serve(*caller, server, switchboard);
            ::_exit(EXIT_SUCCESS); // The kernel closes what we hold, as at the end of any process.
        }
        if (child == -1)
            log_line("no process for a caller: ", std::strerror(errno));
        else
            children.add(child);
    } // Here the parent closes its copy of the caller. The next child does not inherit it.
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
