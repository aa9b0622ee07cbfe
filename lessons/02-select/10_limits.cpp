// 02 select, step 10: limits.
//
// Idea     A set has bits for FD_SETSIZE numbers, 1,024. FD_SET() with a higher one writes somewhere
//          into our memory. So whoever gets such a number is turned away. And where no number is
//          left at all (EMFILE) the caller stays in the queue, and we do not look there for a second.
// Run it   ulimit -n 2000; ./lab run 02/10
// See      A thousand callers are served, the next one is turned away; then one leaves, and the
//          next one is served.
// Was      Step 9 wrote past the set, or ended with "accept: Too many open files".
// Broken   A silent caller keeps a place for ever. SIGTERM drops everybody in the middle of a word.

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <sys/select.h>
#include <sys/socket.h>

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
#include <thread>

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// Whom select() is to watch. Afterwards: who is ready.
class Watch {
public:
    Watch() {
        FD_ZERO(&readable_);
        FD_ZERO(&writable_);
    }
    void for_reading(int number) { add(number, readable_); }
    void for_writing(int number) { add(number, writable_); }
    bool readable(int number) const { return FD_ISSET(number, &readable_); }
    bool writable(int number) const { return FD_ISSET(number, &writable_); }

    // Sleeps until somebody is ready, or the time is over. The kernel looks at the numbers below
    // the first argument: not how many there are, but one more than the highest.
    void wait(std::chrono::seconds time) {
        insist("select", [&] {
            timeval left{.tv_sec = time.count(), .tv_usec = 0};
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
};

// One caller, and how far the conversation with them has come.
class Client {
public:
    explicit Client(Fd caller) : caller_(std::move(caller)) {}

    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    // Lets select() watch this caller.
    void join(Watch& watch) const {
        if (listens()) watch.for_reading(number());
        if (owes()) watch.for_writing(number());
    }

    void serve(const Watch& watch) try {
        const bool readable = watch.readable(number());
        if (!readable && !watch.writable(number())) return;
        if (readable) hear();
        if (owes()) speak(); // Most fits in at once.
        nap();
        if (service_->finished() && !leaving_) leave();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
        over_ = true;
    }

private:
    bool listens() const { return leaving_ || service_->room() > 0; }
    bool owes() const { return !service_->unsent().empty(); }

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
    }

    // They say no more. After that `room` is 0: we do not ask select() about their words again. An
    // end stays ready for ever.
    void ended() {
        ended_ = true;
        over_ = leaving_;
        if (!leaving_) service_->end_of_input();
    }

    // We say no more. What they still say, we hear and forget.
    void leave() {
        ::shutdown(number(), SHUT_WR); // It may fail: they may be gone. Never mind.
        leaving_ = true;
        over_ = ended_;
    }

    // Says as much of what they are owed as the kernel takes now.
    void speak() {
        const auto text = service_->unsent();
        const auto count = ::send(number(), text.data(), text.size(), 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        service_->sent(static_cast<size_t>(check(count, "send")));
    }

    // If the handler sleeps, then with it the whole server.
    void nap() {
        const auto time = service_->nap();
        if (!time || owes()) return;
        std::this_thread::sleep_for(*time);
        service_->woke();
    }

    Fd caller_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until step 13.
    std::unique_ptr<Service> service_ = make_service("hotline", "select", caller_, alone_);
    bool ended_ = false;   // they say no more
    bool leaving_ = false; // we say no more
    bool over_ = false;
};

// Where callers come in.
class Door {
public:
    explicit Door(Fd listener) : listener_(std::move(listener)) {}

    int number() const { return listener_.number(); }
    bool is_open() const { return Clock::now() >= opens_; }

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

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Door door(listen_on("127.0.0.1", 0, SOCK_NONBLOCK));
    std::list<Client> clients;
    while (true) {
        Watch watch;
        if (door.is_open()) watch.for_reading(door.number());
        for (const Client& client : clients)
            client.join(watch);
        watch.wait(1s);
        for (Client& client : clients)
            client.serve(watch);
        std::erase_if(clients, [](const Client& client) { return client.over(); });
        if (!watch.readable(door.number())) continue;
        if (auto caller = door.pick_up()) clients.emplace_back(std::move(*caller));
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
