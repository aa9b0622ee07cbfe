// 04 fork per client, step 14: pass the descriptor.
//
// Idea     A descriptor can travel. The parent accepts and sends it over a Unix socket; the kernel
//          gives the same connection a number in the process that receives it.
// Run it   ./lab run 04/14    and    ./lab client 04
// See      The log names the descriptor that was sent, `who` another one. The connection is one.
// Was      In step 13 every child had to hold the listener.
// Broken   Whoever sends more callers than the children serve fills the socket between them.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "options.hpp"
#include "standard_streams.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using Clock = std::chrono::steady_clock; // A clock that nobody can set back.
using Seconds = std::chrono::duration<double>;
using namespace std::chrono_literals;

constexpr int crew = 8;     // So many children, or fewer, if --max-clients says so.
constexpr auto grace = 1s;  // How long children may take to finish.
constexpr int no_door = -1; // ppoll() looks past a door with a negative number.

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

// The alarm rings: both directions end. For send() that is EPIPE.
std::atomic<bool> too_slow = false;
extern "C" void hang_up(int /*number*/) {
    too_slow = true;
    end_direction(SHUT_RDWR);
}

// SIGALRM comes after so much time; 0 stops the clock.
void wind_the_clock(Seconds time) {
    const auto left = ceil<std::chrono::microseconds>(time).count();
    itimerval clock{};
    clock.it_value = {.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
    check(::setitimer(ITIMER_REAL, &clock, nullptr), "setitimer");
}

// What a child does first. All signals are blocked from before the fork to the last line, so that
// none finds a handler of the parent in here.
void begin_life(pid_t parent) {
    // When the parent dies, of whatever, the kernel sends us this signal. But the parent may have
    // died before we asked for it: then we are somebody else's child by now.
    check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    if (::getppid() != parent) ::_exit(EXIT_FAILURE);

    on_signal(SIGTERM, hear_no_more);
    on_signal(SIGINT, hear_no_more); // Ctrl-C reaches every process of the terminal.
    on_signal(SIGALRM, hang_up);
    const sigset_t open = set_of({});
    check(::sigprocmask(SIG_SETMASK, &open, nullptr), "sigprocmask");
}

// A conversation as in lesson 01, but for the clock. Progress is a piece of an answer that is sent,
// or a whole request: one byte now and then is none.
void converse(const Fd& caller, Service& service, Seconds patience) {
    std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
    std::uint64_t requests = 0;
    if (patience > 0s) wind_the_clock(patience);
    while (!service.finished()) {
        if (const auto text = service.unsent(); !text.empty()) {
            const auto count = insist(
                "send", [&] { return ::send(caller.number(), text.data(), text.size(), 0); });
            service.sent(static_cast<size_t>(count));
            if (patience > 0s) wind_the_clock(patience);
        } else if (const auto nap = service.nap()) {
            wind_the_clock(0s); // It is we who are slow.
            std::this_thread::sleep_for(*nap);
            service.woke();
            wind_the_clock(patience);
        } else {
            const auto room = std::min(bytes.size(), service.room());
            const auto count =
                insist("recv", [&] { return ::recv(caller.number(), bytes.data(), room, 0); });
            if (too_slow) throw std::runtime_error("too slow");
            if (count == 0)
                service.end_of_input();
            else
                service.receive({bytes.data(), static_cast<size_t>(count)});
            if (patience > 0s && std::exchange(requests, service.requests()) != service.requests())
                wind_the_clock(patience);
        }
    }
}

// Serves one caller to the end.
void serve(const Fd& caller, const Options& options, Switchboard& switchboard) try {
    the_caller = caller.number(); // SIGTERM a moment ago? Then the parent's grace is the deadline.
    too_slow = false;             // That was the caller before.
    const auto service = make_service(options.service, "fork", caller, switchboard);
    converse(caller, *service, options.idle_timeout);
    say_goodbye(caller);
} catch (const std::exception& error) {
    log_line("lost a caller: ", error.what());
}

// The next caller; nobody where they have left again, or where we have no room.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller != -1) return Fd(caller);
    if (is_short_of_room(errno))
        check(wait_for_news(no_door, 1s), "ppoll");
    else if (errno != EAGAIN && !passes(errno))
        check(caller, "accept");
    return std::nullopt;
}

// A message with one byte, because there is none without, and room for one descriptor beside it.
struct Parcel {
    Parcel() {
        message.msg_iov = &content;
        message.msg_iovlen = 1;
        message.msg_control = room.data();
        message.msg_controllen = room.size();
    }
    Parcel(const Parcel&) = delete; // It points into itself.
    Parcel& operator=(const Parcel&) = delete;

    char byte = 0;
    iovec content{.iov_base = &byte, .iov_len = 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    msghdr message{};
};

// Sends the caller to whoever reads at the other end first. The connection lives on when we close
// our copy: one that is on its way counts, too. False where the socket is full. We do not wait for
// room (MSG_DONTWAIT): signals get in while we sleep in wait_for_news() and nowhere else, so a
// parent that sleeps here could not be stopped.
bool send_to(const Fd& children, const Fd& caller) {
    Parcel parcel;
    cmsghdr* label = CMSG_FIRSTHDR(&parcel.message);
    *label = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    const int number = caller.number();
    std::memcpy(CMSG_DATA(label), &number, sizeof number);
    log_line("descriptor ", std::to_string(number), " is on its way");
    return ::sendmsg(children.number(), &parcel.message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

// The next caller; nobody when the parent has closed its end. The number is a new one, the smallest
// that is free here. MSG_CMSG_CLOEXEC: it is close-on-exec from its first moment on.
std::optional<Fd> receive_from(const Fd& parent) {
    Parcel parcel;
    const auto count = insist(
        "recvmsg", [&] { return ::recvmsg(parent.number(), &parcel.message, MSG_CMSG_CLOEXEC); });
    const cmsghdr* label = CMSG_FIRSTHDR(&parcel.message);
    if (count == 0 || label == nullptr) return std::nullopt;
    int number = -1;
    std::memcpy(&number, CMSG_DATA(label), sizeof number);
    return Fd(number);
}

// The whole life of a child. It counts in memory of its own, where nobody else counts. What leaves
// this function would be the parent's work, so nothing does.
[[noreturn]] void live(const Fd& callers_from, pid_t parent, const Options& options,
                       Switchboard& switchboard) {
    int callers = 0;
    try {
        begin_life(parent);
        while (const auto caller = receive_from(callers_from)) {
            serve(*caller, options, switchboard);
            wind_the_clock(0s); // Or it rings for the next one.
            ++callers;
        }
    } catch (const std::exception& error) {
        log_line("a child gives up: ", error.what());
    }
    log_line("child ", std::to_string(::getpid()), " has served ", std::to_string(callers));
    ::_exit(EXIT_SUCCESS);
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

int main(int argc, char** argv) try {
    handle_signals();
    fill_standard_streams();
    const Options options = options_from(argc, argv);
    const pid_t server = ::getpid();
    SharedSwitchboard switchboard;
    Children children(options.max_clients > 0 ? std::min(options.max_clients, crew) : crew);

    // The listener goes before the children: first nobody new comes in, then all leave.
    Fd listener = listen_on(options.host, options.port, SOCK_NONBLOCK);
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    Fd to_children(ends[0]);
    const Fd from_parent(ends[1]); // One for all children: whoever is free takes the next caller.
    while (!stop_asked) {
        children.reap();
        while (!children.full()) {
            const pid_t child = ::fork();
            if (child == 0) {
                listener = Fd();
                to_children = Fd(); // Or else the end of the stream would never come: step 2.
                live(from_parent, server, options, switchboard);
            }
            if (child == -1) break; // We try again in a second.
            children.add(child);
        }
        check(wait_for_news(listener.number(), children.full() ? 1h : 1s), "ppoll");
        const auto caller = pick_up(listener);
        if (caller && !send_to(to_children, *caller))
            log_line("nobody takes a caller: ", std::strerror(errno));
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
