// 02 select, step 12: signals.
//
// Idea     A signal becomes a byte in a pipe, and a pipe is something that select() can watch. So
//          there is still one place where this server sleeps, and whatever happens wakes it there.
// Run it   ./lab run 02/12    and    ./lab client 01 -- --port PORT
// See      `big 5000000`, then Ctrl-C at the server: the answer comes to its end.
// Was      SIGTERM ended step 11 in the middle of a word.
// Broken   Callers do not hear each other, and each one counts for themselves.

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "options.hpp"
#include "standard_streams.hpp"

#include <fcntl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto grace = 1000ms; // How long a caller may take to hear the end, and all to say it.

// Whom select() is to watch. Afterwards: who is ready.
class Watch {
public:
    Watch() {
        FD_ZERO(&readable_);
        FD_ZERO(&writable_);
    }
    void for_reading(int number) { add(number, readable_); }
    void for_writing(int number) { add(number, writable_); }
    void until(Clock::time_point moment) { moment_ = std::min(moment_, moment); }
    bool readable(int number) const { return FD_ISSET(number, &readable_); }
    bool writable(int number) const { return FD_ISSET(number, &writable_); }

    // Sleeps until somebody is ready, or a deadline has come. The kernel looks at the numbers below
    // the first argument: not how many there are, but one more than the highest. After a signal it
    // has left the sets alone (select(2)): we ask again, and then the bell is ready.
    void wait() {
        insist("select", [&] {
            const auto time = std::clamp<Clock::duration>(moment_ - Clock::now(), 0s, 1h);
            const auto microseconds = std::chrono::ceil<std::chrono::microseconds>(time).count();
            timeval left{.tv_sec = microseconds / 1'000'000, .tv_usec = microseconds % 1'000'000};
            return ::select(highest_ + 1, &readable_, &writable_, nullptr, &left);
        });
    }

private:
    void add(int number, fd_set& set) {
        if (number >= FD_SETSIZE) throw std::out_of_range("no room in a set for this descriptor");
        FD_SET(number, &set);
        highest_ = std::max(highest_, number);
    }

    fd_set readable_;
    fd_set writable_;
    int highest_ = -1;
    Clock::time_point moment_ = Clock::time_point::max(); // of the nearest deadline
};

// What the signal handler writes into. A handler may do very little (signal-safety(7)), but write()
// it may.
int bell_rope = -1;
extern "C" void ring(int /*number*/) {
    const int before = errno;
    [[maybe_unused]] const auto written = ::write(bell_rope, "!", 1);
    errno = before;
}

// The other end of that pipe: readable when SIGTERM or SIGINT has come. A flag would not do. The
// signal can come between our look at the flag and select(), and then we would sleep.
Fd hang_bell() {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), "pipe");
    bell_rope = ends[1];
    struct sigaction action {};
    action.sa_handler = ring;
    for (const int number : {SIGTERM, SIGINT})
        check(::sigaction(number, &action, nullptr), "sigaction");
    return Fd(ends[0]);
}

// One caller, and how far the conversation with them has come.
class Client {
public:
    Client(Fd caller, const Options& options, const Fd& bell)
        : caller_(std::move(caller)), bell_(bell), idle_timeout_(options.idle_timeout) {
        progress();
    }

    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    // Lets select() watch this caller.
    void join(Watch& watch) const {
        if (listens()) watch.for_reading(number());
        if (owes()) watch.for_writing(number());
        watch.until(deadline_);
    }

    void serve(const Watch& watch) try {
        const bool readable = watch.readable(number());
        if (!readable && !watch.writable(number())) return;
        if (readable) hear();
        if (owes()) speak(); // Most fits in at once.
        nap();
        leave_if_done();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
        over_ = true;
    }

    // `now` is the moment in which select() came back. Who was ready then has been served,
    // however long that took.
    void look_at_the_clock(Clock::time_point now) {
        if (over_ || now < deadline_) return;
        if (!leaving_) log_line("lost a caller: too slow");
        over_ = true;
    }

    // What is owed is said, until `end`. No more is heard.
    void stop(Clock::time_point end) {
        stopping_ = true;
        idle_timeout_ = 0s;
        deadline_ = std::min(deadline_, end);
        leave_if_done();
    }

private:
    bool listens() const { return leaving_ || (!stopping_ && service_->room() > 0); }
    bool owes() const { return !leaving_ && !service_->unsent().empty(); }

    // A whole request, or a piece of an answer: their time begins anew.
    void progress() {
        if (idle_timeout_ > 0s)
            deadline_ = Clock::now() + std::chrono::ceil<Clock::duration>(idle_timeout_);
    }

    // Hears one piece. It may be half a line, or ten lines.
    void hear() {
        std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
        const auto room = leaving_ ? bytes.size() : std::min(bytes.size(), service_->room());
        const auto count = ::recv(number(), bytes.data(), room, 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        if (check(count, "recv") == 0)
            ended();
        else if (!leaving_)
            service_->receive({bytes.data(), static_cast<size_t>(count)});
        if (std::exchange(requests_, service_->requests()) != service_->requests()) progress();
    }

    // They say no more. After that `room` is 0: we do not ask select() about their words again. An
    // end stays ready for ever.
    void ended() {
        ended_ = true;
        over_ = leaving_;
        if (!leaving_) service_->end_of_input();
    }

    // When all is said, we say no more. What they still say, we hear and forget.
    void leave_if_done() {
        if (leaving_ || owes() || !(stopping_ || service_->finished())) return;
        ::shutdown(number(), SHUT_WR); // It may fail: they may be gone. Never mind.
        leaving_ = true;
        over_ = ended_;
        if (!stopping_) deadline_ = Clock::now() + grace;
    }

    // Says as much of what they are owed as the kernel takes now.
    void speak() {
        const auto text = service_->unsent();
        const auto count = ::send(number(), text.data(), text.size(), 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        service_->sent(static_cast<size_t>(check(count, "send")));
        progress();
    }

    // If the handler sleeps, then with it the whole server. Only the bell can wake it.
    void nap() {
        const auto time = service_->nap();
        if (!time || owes()) return;
        Watch watch;
        watch.for_reading(bell_.number());
        watch.until(Clock::now() + *time);
        watch.wait();
        if (watch.readable(bell_.number())) throw std::runtime_error("asleep, and we are to stop");
        service_->woke();
        progress();
    }

    Fd caller_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until step 13.
    std::unique_ptr<Service> service_ = make_service("hotline", "select", caller_, alone_);
    bool ended_ = false;   // they say no more
    bool leaving_ = false; // we say no more
    bool over_ = false;
    bool stopping_ = false;
    const Fd& bell_;
    std::chrono::duration<double> idle_timeout_;
    Clock::time_point deadline_ = Clock::time_point::max();
    std::uint64_t requests_ = 0;
};

// Where callers come in.
class Door {
public:
    explicit Door(Fd listener) : listener_(std::move(listener)) {}

    int number() const { return listener_.number(); }

    // Lets select() watch for the next caller, or else wake us when the door opens again.
    void join(Watch& watch) const {
        if (Clock::now() < opens_)
            watch.until(opens_);
        else
            watch.for_reading(number());
    }

    // The next caller, if there is one, and if there is room for them.
    std::optional<Fd> pick_up() {
        Fd caller(::accept4(number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (caller.number() == -1) return nobody(errno);
        if (caller.number() < FD_SETSIZE) return caller;
        complain("turned a caller away: no number is free below FD_SETSIZE");
        return std::nullopt;
    }

private:
    std::optional<Fd> nobody(int error) {
        if (is_short_of_room(error)) {
            complain("no room for a caller: ", std::strerror(error), "; I wait a second");
            opens_ = Clock::now() + 1s;
        } else if (error != EAGAIN && !passes(error))
            throw std::system_error(error, std::generic_category(), "accept");
        return std::nullopt;
    }

    // Writes to the log, but not more than once in a second.
    void complain(const auto&... words) {
        if (Clock::now() < complains_) return;
        complains_ = Clock::now() + 1s;
        log_line(words...);
    }

    Fd listener_;
    Clock::time_point opens_;
    Clock::time_point complains_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const Fd bell = hang_bell();
    const Options options = options_from(argc, argv);
    std::optional<Door> door(listen_on(options.host, options.port, SOCK_NONBLOCK));
    std::list<Client> clients;
    while (door || !clients.empty()) {
        Watch watch;
        if (door) {
            watch.for_reading(bell.number());
            door->join(watch);
        }
        for (const Client& client : clients)
            client.join(watch);
        watch.wait();
        const auto now = Clock::now();
        for (Client& client : clients) {
            client.serve(watch);
            client.look_at_the_clock(now);
        }
        std::erase_if(clients, [](const Client& client) { return client.over(); });
        if (door && watch.readable(bell.number())) {
            door.reset();
            for (Client& client : clients)
                client.stop(now + grace);
        } else if (door && watch.readable(door->number())) {
            if (auto caller = door->pick_up())
                clients.emplace_back(std::move(*caller), options, bell);
        }
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
