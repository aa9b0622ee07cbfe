// Exercise 05/lounge, solved in another way: the lost are marked, and buried when a call is over.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "reactor.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

class Guest;

// Who is here.
class Lounge {
public:
    void enter(Guest& guest) { guests_.push_back(&guest); }
    void tell_all(const std::string& text);

    // Destroys all who are lost. To tell that one has left may find others who are.
    void bury(Reactor& reactor);

private:
    std::list<Guest*> guests_;
};

class Guest final : public Watcher {
public:
    Guest(Reactor& reactor, Lounge& lounge, Fd caller, int seat)
        : Watcher(std::move(caller)), reactor_(reactor), lounge_(lounge),
          name_(std::to_string(seat)) {
        lounge_.enter(*this);
        write("you are " + name_ + '\n');
    }

    const std::string& name() const { return name_; }

    bool lost() const { return lost_; }

    void readable() override {
        hear();
        lounge_.bury(reactor_); // The last line: we may be among them.
    }

    void write(const std::string& text) {
        if (::send(number(), text.data(), text.size(), MSG_NOSIGNAL) == -1) lost_ = true;
    }

private:
    void hear() {
        std::array<char, 1024> bytes{};
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), 0);
        if (count == -1 && errno == EAGAIN) return;
        if (count <= 0)
            lost_ = true;
        else
            data_received({bytes.data(), static_cast<size_t>(count)});
    }

    void data_received(std::string_view bytes) {
        heard_ += bytes;
        size_t end = 0;
        while (!lost_ && (end = heard_.find('\n')) != std::string::npos) {
            const std::string line = heard_.substr(0, end);
            heard_.erase(0, end + 1);
            if (line != "bye") {
                lounge_.tell_all(name_ + ": " + line + '\n');
                continue;
            }
            write("goodbye\n");
            lost_ = true;
        }
    }

    Reactor& reactor_;
    Lounge& lounge_;
    const std::string name_;
    std::string heard_;
    bool lost_ = false; // or has left
};

void Lounge::tell_all(const std::string& text) {
    for (Guest* const guest : guests_)
        if (!guest->lost()) guest->write(text);
}

void Lounge::bury(Reactor& reactor) {
    while (true) {
        const auto dead = std::ranges::find_if(guests_, &Guest::lost);
        if (dead == guests_.end()) return;
        Guest& guest = **dead;
        guests_.erase(dead);
        tell_all(guest.name() + " has left\n");
        reactor.unwatch(guest);
    }
}

class Door final : public Watcher {
public:
    Door(Reactor& reactor, Lounge& lounge, Fd listener)
        : Watcher(std::move(listener)), reactor_(reactor), lounge_(lounge) {}

    void readable() override {
        Fd caller(::accept4(number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (caller.number() == -1) return;
        reactor_.watch(std::make_unique<Guest>(reactor_, lounge_, std::move(caller), ++guests_),
                       {.reading = true});
    }

private:
    Reactor& reactor_;
    Lounge& lounge_;
    int guests_ = 0;
};

int main() try {
    Lounge lounge; // Before the reactor, which owns the guests: they leave at the end.
    Reactor reactor;
    reactor.watch(std::make_unique<Door>(reactor, lounge, listen_on("127.0.0.1", 0, SOCK_NONBLOCK)),
                  {.reading = true});
    reactor.run();
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
