// 03 thread per client, step 12: stopping.
//
// Idea     Every thread has an owner who waits for its end (join). A thread that sleeps in recv()
//          does not look at a flag, so we wake it: shutdown() ends the stream under its hands.
//          close() does not. The sleeper sleeps on, and the number goes to the next caller.
// Run it   ./lab run 03/12    and some clients who say nothing. Ctrl-C.
// See      All of them see the end, and the server ends with status 0.
// Was      In step 11 the end of main() ended all threads, wherever they were.
// Broken   Who naps for a minute keeps the server for a minute. Who never reads keeps it for ever.

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
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// Where somebody is at the door already, pselect() returns before a signal gets in. Callers who keep
// coming would keep SIGTERM out, so here it gets in as well.
void let_signals_in(const sigset_t& mask) {
    sigset_t closed;
    pthread_sigmask(SIG_SETMASK, &mask, &closed);
    pthread_sigmask(SIG_SETMASK, &closed, nullptr);
}

// Sleeps until somebody calls or a signal comes, a second at most. Was it somebody? One descriptor
// is all we ask about: the callers have threads, which may sleep for themselves.
bool somebody_calls(const Fd& listener, const sigset_t& mask) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(listener.number(), &readable);
    const timespec second{.tv_sec = 1, .tv_nsec = 0};
    const int ready = ::pselect(listener.number() + 1, &readable, nullptr, nullptr, &second, &mask);
    if (ready == -1 && errno == EINTR) return false;
    if (ready > 0) let_signals_in(mask);
    return check(ready, "pselect") > 0;
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

std::atomic<bool> stop_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free);
extern "C" void ask_to_stop(int /*number*/) {
    stop_asked = true;
}

// Who is on the line, and the thread of each.
class Registry {
public:
    ~Registry();
    void open(Fd caller);
    void join_ended();

    // A copy: whoever goes through it may take their time, while others come and go.
    std::vector<std::shared_ptr<Connection>> everybody() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::shared_ptr<Connection>> all;
        for (const Entry& entry : entries_)
            if (entry.connection) all.push_back(entry.connection);
        return all;
    }

    std::uint64_t count() { return ++count_; }

private:
    // Where the connection is gone, the thread is about to end. A jthread joins in its destructor.
    struct Entry {
        std::shared_ptr<Connection> connection;
        std::jthread thread;
    };
    void serve(Entry& entry);

    std::atomic<std::uint64_t> count_ = 0; // one number by itself: it needs no lock

    // Who has this lock may take that of a connection as well; never the other way round.
    mutable std::mutex mutex_; // guards what follows
    std::list<Entry> entries_; // the last member: it ends first, as its threads use the others
};

// One caller and their service. To the service it is the switchboard: what concerns the others goes
// from here to their connections.
class Connection final : private Switchboard {
public:
    Connection(Fd caller, Registry& registry) : caller_(std::move(caller)), registry_(registry) {}

    // We give the lock back wherever we sleep.
    void run() {
        std::unique_lock lock(mutex_);
        service_ = make_service("hotline", "thread", caller_, *this);
        while (!service_->finished()) {
            if (!said_.empty())
                pass_on(lock);
            else if (!service_->unsent().empty())
                speak(lock);
            else if (const auto nap = service_->nap())
                sleep(lock, *nap);
            else if (finishing_)
                break;
            else
                hear(lock);
        }
        lock.unlock();
        say_goodbye(caller_);
    }

    // The thread of another caller is here, and brings what they have said. It must not wait:
    // MSG_DONTWAIT takes what fits, or fails. The rest waits until our own thread wakes up, which
    // may be when our caller says something.
    void tell(std::string_view line) {
        const std::lock_guard lock(mutex_);
        if (member_ == nullptr) return; // Our own thread has not begun.
        member_->hear(line);
        if (sending_) return;
        const auto text = service_->unsent();
        const auto count = ::send(caller_.number(), text.data(), text.size(), MSG_DONTWAIT);
        if (count > 0) service_->sent(static_cast<size_t>(count)); // Errors are for our own thread.
    }

    // Answer what has been asked, and then say goodbye.
    void finish() {
        const std::lock_guard lock(mutex_);
        finishing_ = true;
        if (hearing_) ::shutdown(caller_.number(), SHUT_RD); // recv() wakes up, and says 0.
    }

private:
    // Tells all others what our caller has said. Without our lock: while we wait for the lock of
    // another, they may wait for ours, with theirs in their hands. Both would wait for ever.
    void pass_on(std::unique_lock<std::mutex>& lock) {
        const auto lines = std::exchange(said_, {});
        lock.unlock();
        const auto all = registry_.everybody();
        schedule_point("before the others are told");
        for (const auto& other : all)
            for (const std::string& line : lines)
                if (other.get() != this) other->tell(line);
        lock.lock();
    }

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
        hearing_ = true;
        lock.unlock();
        const auto count =
            insist("recv", [&] { return ::recv(caller_.number(), bytes.data(), room, 0); });
        lock.lock();
        hearing_ = false;
        if (count == 0 && finishing_) return; // The end is ours, not the caller's.
        if (count == 0)
            service_->end_of_input();
        else
            service_->receive({bytes.data(), static_cast<size_t>(count)});
    }

    // The service calls these, in receive() and in sent(): our lock is held.
    void join(Member& member) override { member_ = &member; }
    void leave(Member& /*member*/) override {}
    std::uint64_t count() override { return registry_.count(); }
    void say(const Member& /*speaker*/, std::string_view line) override {
        said_.emplace_back(line);
    }

    const Fd caller_;
    Registry& registry_;

    std::mutex mutex_;         // guards what follows
    Member* member_ = nullptr; // our service, as the others see it
    std::unique_ptr<Service> service_;
    bool sending_ = false;          // our own thread is in send()
    bool hearing_ = false;          // our own thread is in recv()
    bool finishing_ = false;        // no more questions
    std::vector<std::string> said_; // by our caller, and not yet passed on
};

// Starts a thread for this caller.
void Registry::open(Fd caller) {
    std::list<Entry> one(1); // A list of one: to move its element to another cannot fail.
    Entry& entry = one.front();
    entry.connection = std::make_shared<Connection>(std::move(caller), *this);
    const std::lock_guard lock(mutex_); // A quick thread waits at its end until it is noted.
    entry.thread = std::jthread([this, &entry] { serve(entry); });
    entries_.splice(entries_.end(), one);
}

// One conversation, from the greeting to the goodbye.
void Registry::serve(Entry& entry) {
    try {
        entry.connection->run();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
    }
    const std::lock_guard lock(mutex_);
    entry.connection = nullptr;
}

// A thread that has ended keeps its stack until somebody has joined it.
void Registry::join_ended() {
    std::list<Entry> ended; // Its destructor joins, when we have given the lock back.
    const std::lock_guard lock(mutex_);
    for (auto next = entries_.begin(); next != entries_.end();) {
        const auto entry = next++;
        if (!entry->connection) ended.splice(ended.end(), entries_, entry);
    }
}

// At last `entries_` ends, and with it each thread is joined. That is without the lock: whoever
// ends needs it.
Registry::~Registry() {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_)
        if (entry.connection) entry.connection->finish();
}

// The kernel gives a signal to any thread that does not block it. We block the two before there are
// threads, and each thread begins with what its parent blocks. pselect() takes the mask of before:
// only in it they get through. So none comes at a bad moment, and none is missed.
sigset_t handle_signals() {
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    check(::sigaction(SIGPIPE, &action, nullptr), "sigaction");
    action.sa_handler = ask_to_stop;
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT}) {
        sigaddset(&signals, number);
        check(::sigaction(number, &action, nullptr), "sigaction");
    }
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    return before;
}

int main() try {
    const sigset_t mask = handle_signals();
    Registry registry;
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK); // It ends before the registry.
    while (!stop_asked) {
        if (somebody_calls(listener, mask))
            if (auto caller = pick_up(listener)) registry.open(std::move(*caller));
        registry.join_ended();
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
