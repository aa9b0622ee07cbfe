// 03 thread per client, step 16: the server.
//
// Idea     Who takes too long is dropped: the loop sees it at its next turn, and ends the call in
//          which their thread sleeps. Each thread has a name, and so you can tell who serves whom.
// Run it   ./lab run 03 -- --idle-timeout 5    and    ./lab client 03
// See      Each caller has a thread with a name: ps -L -o tid,comm -p PID shows them all. Say
//          nothing, with nc 127.0.0.1 PORT, and after five seconds the line is dead.
// Was      In step 15 silent callers kept their threads for ever, and soon all of them.
// Broken   A thread for each caller, asleep nearly all the time. If one of them crashes, all go.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "options.hpp"
#include "standard_streams.hpp"

#include <pthread.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

using Clock = std::chrono::steady_clock;

// How long a turn of the loop takes when nobody calls.
constexpr auto tick = 250ms;

// How long a caller may take to hear the end.
constexpr auto grace = 1000ms;

// So many callers have a thread at the same time, unless --max-clients says another number.
constexpr int usual_bound = 500;

// Where somebody is at the door already, pselect() returns before a signal gets in. Callers who keep
// coming would keep SIGTERM out, so here it gets in as well.
void let_signals_in(const sigset_t& mask) {
    sigset_t closed;
    pthread_sigmask(SIG_SETMASK, &mask, &closed);
    pthread_sigmask(SIG_SETMASK, &closed, nullptr);
}

// Sleeps until somebody calls or a signal comes, a tick at most. Was it somebody? One descriptor
// is all we ask about: the callers have threads, which may sleep for themselves. Where there is no
// room we do not even ask about that one: somebody waits there, and we would run in circles.
bool somebody_calls(const Fd& listener, const sigset_t& mask, bool has_room) {
    fd_set readable;
    FD_ZERO(&readable);
    if (has_room) FD_SET(listener.number(), &readable);
    const timespec time{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(tick).count()};
    const int ready = ::pselect(listener.number() + 1, &readable, nullptr, nullptr, &time, &mask);
    if (ready == -1 && errno == EINTR) return false;
    if (ready > 0) let_signals_in(mask);
    return check(ready, "pselect") > 0;
}

// The next caller. Nothing, where they are gone again: the listener does not block (lesson 02).
// Where there is no descriptor for them, `again` is when to ask again. Nobody sleeps until then:
// those who are here want to be looked after.
std::optional<Fd> pick_up(const Fd& listener, Clock::time_point& again) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller != -1) return Fd(caller);
    if (errno == EAGAIN || passes(errno)) return std::nullopt;
    if (!is_short_of_room(errno)) check(caller, "accept");
    log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
    again = Clock::now() + 1s;
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
    explicit Registry(const Options& options) : options_(options) {}
    ~Registry();
    void open(Fd caller);
    void look_around();
    bool is_full() const {
        const int bound = options_.max_clients > 0 ? options_.max_clients : usual_bound;
        const std::lock_guard lock(mutex_);
        return entries_.size() >= static_cast<size_t>(bound);
    }

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
    void serve(Entry& entry, const std::string& name);

    const Options& options_;
    int calls_ = 0;
    std::atomic<std::uint64_t> count_ = 0; // one number by itself: it needs no lock

    // Who has this lock may take that of a connection as well; never the other way round.
    mutable std::mutex mutex_; // guards what follows
    std::condition_variable somebody_left_;
    std::list<Entry> entries_; // the last member: it ends first, as its threads use the others
};

// One caller and their service. To the service it is the switchboard: what concerns the others goes
// from here to their connections.
class Connection final : private Switchboard {
public:
    Connection(Fd caller, Registry& registry, const Options& options)
        : caller_(std::move(caller)), registry_(registry), options_(options) {}

    // We give the lock back wherever we sleep.
    //
    // The buffer is a little larger than four pages, and lies above all that is called from here: so
    // where it ends, and what they use, is one page. An idle caller takes two pages of stack.
    void converse(const std::string& thread) {
        std::array<char, 17 * 1024> bytes; // NOLINT(*-member-init): recv() fills it.
        std::unique_lock lock(mutex_);
        service_ = make_service(options_.service, "thread", caller_, *this, thread);
        while (!service_->finished()) {
            if (cut_off_ != nullptr) throw std::runtime_error(cut_off_);
            if (!said_.empty())
                pass_on(lock);
            else if (!service_->unsent().empty())
                speak(lock);
            else if (const auto nap = service_->nap())
                sleep(lock, *nap);
            else if (finishing_)
                break;
            else
                hear(lock, bytes);
        }
    }

    void take_leave() const { say_goodbye(caller_); }

    // The thread of another caller is here, and brings what they have said.
    void tell(std::string_view line) {
        const std::lock_guard lock(mutex_);
        if (member_ == nullptr) return; // Our own thread has not begun, or it is the echo service.
        member_->hear(line);
        send_what_fits();
    }

    // The main thread is here, at each turn of its loop.
    void look_after() {
        const std::lock_guard lock(mutex_);
        if (service_ == nullptr) return; // Our own thread has not begun.
        send_what_fits();
        if (service_->nap()) last_progress_ = Clock::now(); // It is we who are slow.
        const auto time = Clock::now() - last_progress_;
        if (options_.idle_timeout.count() > 0 && time > options_.idle_timeout) cut_off("too slow");
    }

    // Answer what has been asked, and then say goodbye.
    void finish() {
        const std::lock_guard lock(mutex_);
        finishing_ = true;
        if (hearing_) ::shutdown(caller_.number(), SHUT_RD); // recv() wakes up, and says 0.
    }

    void give_up() {
        const std::lock_guard lock(mutex_);
        cut_off("no time left to stop");
    }

private:
    // No call on this connection sleeps any more, and no nap goes on.
    void cut_off(const char* why) {
        cut_off_ = why;
        ::shutdown(caller_.number(), SHUT_RDWR);
        wake_.notify_one();
    }

    // Tells all others what our caller has said. Without our lock: while we wait for the lock of
    // another, they may wait for ours, with theirs in their hands. Both would wait for ever.
    void pass_on(std::unique_lock<std::mutex>& lock) {
        const auto lines = std::exchange(said_, {});
        lock.unlock();
        const auto all = registry_.everybody();
        for (const auto& other : all)
            for (const std::string& line : lines)
                if (other.get() != this) other->tell(line);
        lock.lock();
    }

    // In the name of our own thread, which sleeps. This one must not: MSG_DONTWAIT takes what fits,
    // or fails. The main thread comes back for the rest.
    void send_what_fits() {
        const auto text = service_->unsent();
        if (sending_ || text.empty()) return;
        const auto count = ::send(caller_.number(), text.data(), text.size(), MSG_DONTWAIT);
        if (count > 0) sent(count); // Errors are for our own thread.
    }

    void sent(ssize_t count) {
        service_->sent(static_cast<size_t>(count));
        last_progress_ = Clock::now();
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
        sent(count);
    }

    // wait_for() gives the lock back while it sleeps, and takes it again before it returns.
    void sleep(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds nap) {
        wake_.wait_for(lock, nap, [this] { return cut_off_ != nullptr; });
        service_->woke();
    }

    void hear(std::unique_lock<std::mutex>& lock, std::span<char> bytes) {
        const auto room = std::min(bytes.size(), service_->room());
        hearing_ = true;
        lock.unlock();
        const auto count =
            insist("recv", [&] { return ::recv(caller_.number(), bytes.data(), room, 0); });
        lock.lock();
        hearing_ = false;
        if (count == 0 && (finishing_ || cut_off_ != nullptr)) return; // The end is ours.
        if (count == 0)
            service_->end_of_input();
        else
            service_->receive({bytes.data(), static_cast<size_t>(count)});

        // A caller who drips one byte now and then makes no progress. A whole request is progress.
        if (std::exchange(requests_, service_->requests()) != service_->requests())
            last_progress_ = Clock::now();
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
    const Options& options_;

    std::mutex mutex_;         // guards what follows
    Member* member_ = nullptr; // our service, as the others see it
    std::unique_ptr<Service> service_;
    bool sending_ = false;          // our own thread is in send()
    bool hearing_ = false;          // our own thread is in recv()
    bool finishing_ = false;        // no more questions
    const char* cut_off_ = nullptr; // no more of anything, and why
    std::condition_variable wake_;  // from a nap
    std::vector<std::string> said_; // by our caller, and not yet passed on
    std::uint64_t requests_ = 0;
    Clock::time_point last_progress_ = Clock::now();
};

// Starts a thread for this caller. Where there is none to be had, they are hung up on.
void Registry::open(Fd caller) try {
    std::list<Entry> one(1); // A list of one: to move its element to another cannot fail.
    Entry& entry = one.front();
    entry.connection = std::make_shared<Connection>(std::move(caller), *this, options_);
    const std::string name = "caller " + std::to_string(++calls_);
    const std::lock_guard lock(mutex_); // A quick thread waits at its end until it is noted.
    entry.thread = std::jthread([this, &entry, name] { serve(entry, name); });
    entries_.splice(entries_.end(), one);
} catch (const std::exception& error) {
    log_line("no thread for a caller: ", error.what());
}

// One conversation, from the greeting to the goodbye.
void Registry::serve(Entry& entry, const std::string& name) {
    pthread_setname_np(pthread_self(), name.c_str()); // For ps, top and gdb.
    try {
        entry.connection->converse(name);
        entry.connection->take_leave();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
    }
    const std::lock_guard lock(mutex_);
    entry.connection = nullptr;
    somebody_left_.notify_one();
}

// The main thread looks after each caller, and joins threads that have ended: until then they keep
// their stacks. We hold our lock all the while, but nothing here waits.
void Registry::look_around() {
    std::list<Entry> ended; // Its destructor joins, when we have given the lock back.
    const std::lock_guard lock(mutex_);
    for (auto next = entries_.begin(); next != entries_.end();) {
        const auto entry = next++;
        if (entry->connection)
            entry->connection->look_after();
        else
            ended.splice(ended.end(), entries_, entry);
    }
}

// At last `entries_` ends, and with it each thread is joined. That is without the lock: whoever
// ends needs it.
Registry::~Registry() {
    std::unique_lock lock(mutex_);
    for (const Entry& entry : entries_)
        if (entry.connection) entry.connection->finish();
    const auto is_over = [](const Entry& entry) { return !entry.connection; };
    somebody_left_.wait_for(lock, grace, [&] { return std::ranges::all_of(entries_, is_over); });
    for (const Entry& entry : entries_)
        if (entry.connection) entry.connection->give_up();
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

// From now on a thread gets 256 KiB for its stack: we need less. The usual 8 MiB (ulimit -s) take no
// memory before they are used, but time. The C library keeps 40 MiB of stacks that nobody uses any
// more for threads to come; so it keeps five of those, or 160 of ours.
void use_small_stacks() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    pthread_setattr_default_np(&attributes); // For std::jthread, which cannot be told.
    pthread_attr_destroy(&attributes);
}

int main(int argc, char** argv) try {
    const sigset_t mask = handle_signals();
    use_small_stacks();
    fill_standard_streams();
    const Options options = options_from(argc, argv);
    Registry registry(options);
    const Fd listener = listen_on(options.host, options.port, SOCK_NONBLOCK);
    auto again = Clock::now();
    while (!stop_asked) {
        if (somebody_calls(listener, mask, !registry.is_full() && Clock::now() >= again))
            if (auto caller = pick_up(listener, again)) registry.open(std::move(*caller));
        registry.look_around();
    }
    return EXIT_SUCCESS; // The listener ends first, then the registry: nobody new comes in.
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
