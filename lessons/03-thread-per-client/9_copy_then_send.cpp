// 03 thread per client, step 9: copy, then send.
//
// Idea     Nobody holds a lock across a call that may sleep. With the lock we copy what is to be
//          sent; without it we send; with it again we note what has gone.
// Run it   ./lab run 03/9    and the same as in step 8.
// See      Whoever never reads harms only themselves.
// Was      In step 8 one slow reader held the lock, and with it everybody.
// Broken   One lock for all is still one: while one handler works, no other does, though the
//          machine has several processors.

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

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
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

// What all callers share, and one lock for all of it: for this object, and for the service of each
// connection in it.
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
        const std::lock_guard lock(shared_.mutex);
        service_ = make_service("hotline", "thread", caller_, *this);
        shared_.connections.push_back(this);
    }
    ~Connection() override {
        const std::lock_guard lock(shared_.mutex);
        std::erase(shared_.connections, this);
    }

    // We give the lock back wherever we sleep.
    void run() {
        std::unique_lock lock(shared_.mutex);
        while (!service_->finished()) {
            if (!service_->unsent().empty())
                speak(lock);
            else if (const auto nap = service_->nap())
                sleep(lock, *nap);
            else
                hear(lock);
        }
    }

    // The thread of another caller is here, with the lock, and brings what they have said. It must
    // not wait: MSG_DONTWAIT takes what fits, or fails. The rest waits until our own thread wakes
    // up, which may be when our caller says something.
    void tell(std::string_view line) {
        member_->hear(line);
        if (sending_) return;
        const auto text = service_->unsent();
        const auto count = ::send(caller_.number(), text.data(), text.size(), MSG_DONTWAIT);
        if (count > 0) service_->sent(static_cast<size_t>(count)); // Errors are for our own thread.
    }

private:
    // While we are in send() somebody else may come with a line for our caller (tell). They leave
    // it in the service: were both to send, the bytes of two sentences would mix.
    void speak(std::unique_lock<std::mutex>& lock) {
        const std::string piece(service_->unsent());
        sending_ = true;
        lock.unlock();
        const auto count =
            insist("send", [&] { return ::send(caller_.number(), piece.data(), piece.size(), 0); });
        lock.lock();
        sending_ = false;
        service_->sent(static_cast<size_t>(count));
    }

    void sleep(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds nap) {
        lock.unlock();
        std::this_thread::sleep_for(nap);
        lock.lock();
        service_->woke();
    }

    void hear(std::unique_lock<std::mutex>& lock) {
        std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
        const auto room = std::min(bytes.size(), service_->room());
        lock.unlock();
        const auto count =
            insist("recv", [&] { return ::recv(caller_.number(), bytes.data(), room, 0); });
        lock.lock();
        if (count == 0)
            service_->end_of_input();
        else
            service_->receive({bytes.data(), static_cast<size_t>(count)});
    }

    // The service calls these, in receive() and in sent(): the lock is held.
    void join(Member& member) override { member_ = &member; }
    void leave(Member& /*member*/) override {}
    std::uint64_t count() override { return ++shared_.count; }
    void say(const Member& /*speaker*/, std::string_view line) override {
        schedule_point("before the others are told");
        for (Connection* other : shared_.connections)
            if (other != this) other->tell(line);
    }

    const Fd& caller_;
    Shared& shared_;
    Member* member_ = nullptr; // our service, as the others see it
    std::unique_ptr<Service> service_;
    bool sending_ = false; // our own thread is in send()
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
