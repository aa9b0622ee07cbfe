// 01 blocking socket, step 9: the server.
//
// Idea     No call sleeps for ever. Each comes back after a tick, and then we look at the clock and
//          at the stop flag. A deadline counts from the last request, not from the last byte.
// Run it   ./lab run 01 -- --idle-timeout 5    and in a second terminal    ./lab client 01
// See      Say nothing: after five seconds the line is dead. Ctrl-C: it finishes and leaves.
// Was      In step 8 one silent caller kept the line for ever.
// Broken   A caller who talks, or sleeps, or reads slowly, still keeps all the others waiting.

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "options.hpp"
#include "standard_streams.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

using Clock = std::chrono::steady_clock; // A clock that nobody can set back.
using namespace std::chrono_literals;

// How long a call may sleep. A signal ends its sleep at once, but a signal can also come in the
// moment between our look at the flag and the call. Then the flag waits for one tick.
constexpr auto tick = 250ms;

// How long a caller may take to hear the end after SIGTERM, and after goodbye.
constexpr auto grace = 1000ms;

// A signal handler may do very little (signal-safety(7)). Ours sets a flag.
std::atomic<bool> stop_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free);
extern "C" void ask_to_stop(int /*number*/) {
    stop_asked = true;
}

// The moment by which we are gone. It counts from the first time that somebody asks here.
Clock::time_point end_of_grace() {
    static const auto moment = Clock::now() + grace;
    return moment;
}

// What a call that sleeps for a tick at most brought. Nothing: the tick is over (EAGAIN), or a
// signal came (EINTR).
std::optional<size_t> within_a_tick(ssize_t result, const char* call) {
    if (result == -1 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    return static_cast<size_t>(check(result, call));
}

// Makes every recv(), send() and accept() on this socket come back after a tick.
void set_tick(const Fd& socket) {
    const timeval time{.tv_sec = 0, .tv_usec = std::chrono::microseconds(tick).count()};
    for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO})
        check(::setsockopt(socket.number(), SOL_SOCKET, direction, &time, sizeof time),
              "setsockopt");
}

// One caller and their service.
class Connection {
public:
    Connection(const Fd& caller, Service& service, std::chrono::duration<double> idle_timeout)
        : caller_(caller), service_(service), idle_timeout_(idle_timeout) {}

    // Returns when all is said, and when we are to stop and owe nothing. Throws when the caller is
    // lost or too slow.
    void run() {
        while (!service_.finished()) {
            if (!service_.unsent().empty())
                speak();
            else if (const auto nap = service_.nap())
                sleep(*nap);
            else if (stop_asked)
                return;
            else
                hear();
            look_at_the_clock();
        }
    }

    // Ends our direction, then reads and forgets what the caller still says: a close() with bytes
    // unread would be a reset (step 8). This time with one deadline for all of it.
    void say_goodbye() {
        ::shutdown(caller_.number(), SHUT_WR); // It may fail: the caller may be gone. Never mind.
        const auto deadline = stop_asked ? end_of_grace() : Clock::now() + grace;
        std::array<char, 16384> forgotten; // NOLINT(*-member-init)
        while (!ended_ && Clock::now() < deadline) {
            const auto count = within_a_tick(
                ::recv(caller_.number(), forgotten.data(), forgotten.size(), 0), "recv");
            ended_ = count && *count == 0;
        }
    }

private:
    void speak() {
        const auto text = service_.unsent();
        const auto count =
            within_a_tick(::send(caller_.number(), text.data(), text.size(), 0), "send");
        if (!count) return;
        service_.sent(*count);
        progress_ = true;
    }

    void hear() {
        std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
        const auto room = std::min(bytes.size(), service_.room());
        const auto count = within_a_tick(::recv(caller_.number(), bytes.data(), room, 0), "recv");
        if (!count) return;
        ended_ = *count == 0;
        if (ended_)
            service_.end_of_input();
        else
            service_.receive({bytes.data(), *count});

        // A caller who drips one byte now and then makes no progress. A whole request is progress.
        progress_ = std::exchange(requests_, service_.requests()) != service_.requests();
    }

    // The handler sleeps, and with it the whole server.
    void sleep(std::chrono::milliseconds nap) {
        const auto end = Clock::now() + nap;
        while (Clock::now() < end) {
            const auto left = std::clamp<Clock::duration>(end - Clock::now(), 0ms, tick);
            const timespec time{.tv_sec = 0, .tv_nsec = left.count()};
            ::nanosleep(&time, nullptr);
            progress_ = true; // It is we who are slow.
            look_at_the_clock();
        }
        service_.woke();
    }

    void look_at_the_clock() {
        const auto now = Clock::now();
        if (std::exchange(progress_, false)) last_progress_ = now;
        if (stop_asked && now > end_of_grace()) throw std::runtime_error("no time left to stop");
        if (idle_timeout_ > 0s && now > last_progress_ + idle_timeout_)
            throw std::runtime_error("too slow");
    }

    const Fd& caller_;
    Service& service_;
    std::chrono::duration<double> idle_timeout_;
    bool ended_ = false;    // the caller says no more
    bool progress_ = false; // since we last looked at the clock
    Clock::time_point last_progress_ = Clock::now();
    std::uint64_t requests_ = 0;
};

// The next caller, if one comes within a tick.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller != -1) return Fd(caller);
    if (errno == EAGAIN || passes(errno)) return std::nullopt;
    if (!is_short_of_room(errno)) check(caller, "accept");
    log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
    ::sleep(1); // A signal wakes us.
    return std::nullopt;
}

void handle_signals() {
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    check(::sigaction(SIGPIPE, &action, nullptr), "sigaction");
    action.sa_handler = ask_to_stop; // No SA_RESTART: the signal is to end the sleep of a call.
    check(::sigaction(SIGTERM, &action, nullptr), "sigaction");
    check(::sigaction(SIGINT, &action, nullptr), "sigaction");
}

int main(int argc, char** argv) try {
    handle_signals();
    fill_standard_streams();
    const Options options = options_from(argc, argv);
    const Fd listener = listen_on(options.host, options.port);
    set_tick(listener);
    PlainSwitchboard switchboard;
    while (!stop_asked) {
        const auto caller = pick_up(listener);
        if (!caller) continue;
        try {
            set_tick(*caller);
            const auto service = make_service(options.service, "blocking", *caller, switchboard);
            Connection connection(*caller, *service, options.idle_timeout);
            connection.run();
            connection.say_goodbye();
        } catch (const std::exception& error) {
            log_line("lost a caller: ", error.what());
        }
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
