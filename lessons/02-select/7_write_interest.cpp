// 02 select, step 7: write interest.
//
// Idea     send() does not sleep either: it takes what fits. The rest waits with us, and select()
//          says when there is room again. We ask it about those only to whom we owe something: a
//          socket with room is always ready, and to ask about all would be to spin.
// Run it   ./lab run 02/7    and    python3 clients/hostile/never_reader.py --port PORT
// See      It asks for a lot and reads nothing. The others do not notice: ./lab client 02
// Was      In step 6 whoever did not read stopped the server.
// Broken   What does not fit waits with us, whatever it is: look at the memory.

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
#include <csignal>
#include <cstdlib>
#include <list>
#include <memory>
#include <optional>
#include <thread>

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

    // Sleeps until somebody is ready. The kernel looks at the numbers below the first argument: not
    // how many there are, but one more than the highest.
    void wait() {
        insist("select",
               [&] { return ::select(highest_ + 1, &readable_, &writable_, nullptr, nullptr); });
    }

private:
    void add(int number, fd_set& set) {
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
    explicit Client(Fd caller) : caller_(std::move(caller)) { answer(); }

    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    // Lets select() watch this caller.
    void join(Watch& watch) const {
        watch.for_reading(number());
        if (owes()) watch.for_writing(number());
    }

    void serve(const Watch& watch) try {
        const bool readable = watch.readable(number());
        if (!readable && !watch.writable(number())) return;
        if (readable) hear();
        if (owes()) speak(); // Most fits in at once.
        over_ |= service_->finished() && !owes();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
        over_ = true;
    }

private:
    bool owes() const { return !unsent_.empty(); }

    // Hears one piece. It may be half a line, or ten lines.
    void hear() {
        std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
        const auto room = std::min(bytes.size(), service_->room());
        const auto count = ::recv(number(), bytes.data(), room, 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        if (check(count, "recv") == 0)
            over_ = true; // They have hung up.
        else
            service_->receive({bytes.data(), static_cast<size_t>(count)});
        answer();
    }

    // Takes down all that they are owed. If the handler sleeps, then with it the whole server.
    void answer() {
        while (true) {
            if (const auto text = service_->unsent(); !text.empty()) {
                unsent_.push(text);
                service_->sent(text.size());
            } else if (const auto nap = service_->nap()) {
                std::this_thread::sleep_for(*nap);
                service_->woke();
            } else
                return;
        }
    }

    // Says as much of it as the kernel takes now.
    void speak() {
        const auto text = unsent_.front();
        const auto count = ::send(number(), text.data(), text.size(), 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        unsent_.pop(static_cast<size_t>(check(count, "send")));
    }

    Fd caller_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until step 13.
    std::unique_ptr<Service> service_ = make_service("hotline", "select", caller_, alone_);
    ByteQueue unsent_;
    bool over_ = false;
};

// The next caller, if there is one.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (caller != -1) return Fd(caller);
    if (errno != EAGAIN && !passes(errno)) check(caller, "accept");
    return std::nullopt;
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    std::list<Client> clients;
    while (true) {
        Watch watch;
        watch.for_reading(listener.number());
        for (const Client& client : clients)
            client.join(watch);
        watch.wait();
        for (Client& client : clients)
            client.serve(watch);
        std::erase_if(clients, [](const Client& client) { return client.over(); });
        if (!watch.readable(listener.number())) continue;
        if (auto caller = pick_up(listener)) clients.emplace_back(std::move(*caller));
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
