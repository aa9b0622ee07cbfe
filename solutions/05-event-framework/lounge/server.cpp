// Exercise 05/lounge, solved: whatever ends a guest, they end in one place, and last of all.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "reactor.hpp"

#include <sys/socket.h>

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
    void leave(const Guest& guest);
    void tell_all(const std::string& text);

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
    // All ways end here, and nobody is here twice.
    ~Guest() override { lounge_.leave(*this); }

    const std::string& name() const { return name_; }

    void readable() override {
        std::array<char, 1024> bytes{};
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), 0);
        if (count == -1 && errno == EAGAIN) return;
        if (count <= 0) return leave();
        data_received({bytes.data(), static_cast<size_t>(count)});
        if (over_) leave();
    }

    // It may fail, and that is not our business here: if they are gone, recv() will say so, when it is
    // their turn and nobody is in the middle of anything.
    void write(const std::string& text) {
        ::send(number(), text.data(), text.size(), MSG_NOSIGNAL);
    }

private:
    void data_received(std::string_view bytes) {
        heard_ += bytes;
        size_t end = 0;
        while (!over_ && (end = heard_.find('\n')) != std::string::npos) {
            const std::string line = heard_.substr(0, end);
            heard_.erase(0, end + 1);
            if (line == "bye")
                say_goodbye();
            else
                lounge_.tell_all(name_ + ": " + line + '\n');
        }
    }

    // We are in the middle of a loop over our own lines: so the end has to wait.
    void say_goodbye() {
        write("goodbye\n");
        over_ = true;
    }

    // Destroys us: nothing may stand behind this, here and in whoever calls it.
    void leave() { reactor_.unwatch(*this); }

    std::string heard_;
    bool over_ = false;
    Reactor& reactor_;
    Lounge& lounge_;
    const std::string name_;
};

void Lounge::leave(const Guest& guest) {
    std::erase(guests_, &guest);
    tell_all(guest.name() + " has left\n");
}

void Lounge::tell_all(const std::string& text) {
    for (Guest* const guest : guests_)
        guest->write(text);
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
