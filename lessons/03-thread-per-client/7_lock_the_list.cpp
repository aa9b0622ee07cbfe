// 03 thread per client, step 7: a lock around the list.
//
// Idea     What somebody says, all others hear. There is a list of all callers, and it has a lock.
// Run it   ./lab run 03/7    and nc 127.0.0.1 PORT in two terminals. `say hello` in the first.
// See      The second hears nothing, until they say something themselves.
// Was      In step 6 nobody heard what the others said.
// Broken   The lock guards the list, not what is in the list. Two threads are in one service at the
//          same time: its own, and the one that brings a line. ThreadSanitizer names them. And its
//          own sleeps in recv(), so nobody sends the line.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "schedule_point.hpp"

#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// Sleeps until somebody calls, a second at most. Was it somebody? One descriptor is all we ask
// about: the callers have threads, which may sleep for themselves.
bool somebody_calls(const Fd& listener) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(listener.number(), &readable);
    timeval second{.tv_sec = 1, .tv_usec = 0}; // Linux counts it down: it is set anew each time.
    const int ready = ::select(listener.number() + 1, &readable, nullptr, nullptr, &second);
    if (ready == -1 && errno == EINTR) return false;
    return check(ready, "select") > 0;
}

// The next caller. Nothing, where they are gone again: the listener does not block (lesson 02).
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller != -1) return Fd(caller);
    if (errno == EAGAIN || passes(errno)) return std::nullopt;
    if (!is_short_of_room(errno)) check(caller, "accept");
    log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
    ::sleep(1);
    return std::nullopt;
}

class Connection;

// What all callers share. The lock guards the other two.
struct Shared {
    std::mutex mutex;
    std::uint64_t count = 0;
    std::vector<Connection*> connections;
};

// One caller and their service. To the service it is the switchboard: what concerns the others goes
// from here to their connections.
class Connection final : private Switchboard {
public:
    Connection(const Fd& caller, Shared& shared) : caller_(caller), shared_(shared) {
        service_ = make_service("hotline", "thread", caller_, *this);
        const std::lock_guard lock(shared_.mutex);
        shared_.connections.push_back(this);
    }
    ~Connection() override {
        const std::lock_guard lock(shared_.mutex);
        std::erase(shared_.connections, this);
    }

    void run() { converse(caller_, *service_); }

    // The thread of another caller is here, and brings what they have said.
    void tell(std::string_view line) { member_->hear(line); }

private:
    // The service calls these.
    void join(Member& member) override { member_ = &member; }
    void leave(Member& /*member*/) override {}
    std::uint64_t count() override {
        const std::lock_guard lock(shared_.mutex);
        return ++shared_.count;
    }
    void say(const Member& /*speaker*/, std::string_view line) override {
        const std::lock_guard lock(shared_.mutex);
        for (Connection* other : shared_.connections)
            if (other != this) other->tell(line);
        schedule_point("the others are told");
    }

    const Fd& caller_;
    Shared& shared_;
    Member* member_ = nullptr; // our service, as the others see it
    std::unique_ptr<Service> service_;
};

// One conversation, from the greeting to the goodbye. Every line of it may sleep.
void serve(const Fd& caller, Shared& shared) try {
    Connection(caller, shared).run();
    say_goodbye(caller);
} catch (const std::exception& error) {
    // main() has a catch, too, but no exception finds it from here: each thread has a stack of its
    // own, and under our outermost line there is only the end of the process.
    log_line("lost a caller: ", error.what());
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    Shared shared;
    int calls = 0;
    for (int turn = 1; true; ++turn) {
        if (somebody_calls(listener)) {
            if (auto caller = pick_up(listener)) {
                ++calls;
                std::thread([caller = std::move(*caller), &shared] {
                    schedule_point("a thread begins");
                    serve(caller, shared);
                }).detach(); // Nobody waits for its end: a debt, and step 12 pays it.
            }
        }
        // The other work. Here it is a line in the log; step 12 looks for threads that have ended,
        // and the server for callers who have said nothing for too long.
        log_line("turn ", std::to_string(turn), ", ", std::to_string(calls), " calls so far");
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
