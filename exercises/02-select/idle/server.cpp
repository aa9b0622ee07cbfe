// Exercise 02/idle: a server that is too patient. README.md says what to do.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <list>
#include <string>

class Guest {
public:
    explicit Guest(Fd caller) : caller_(std::move(caller)) {}
    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    void serve() {
        std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        over_ = count <= 0;
        if (over_) return;
        heard_.append(bytes.data(), static_cast<size_t>(count));
        const size_t end = heard_.rfind('\n') + 1;
        if (end == 0) return;
        say(heard_.substr(0, end));
        heard_.erase(0, end);
    }

private:
    // The lines are short and the guests listen: send() takes them whole.
    void say(const std::string& lines) {
        if (::send(number(), lines.data(), lines.size(), 0) == -1) over_ = true;
    }

    Fd caller_;
    std::string heard_; // less than a line
    bool over_ = false;
};

// Sleeps until somebody is ready, be it for ever.
fd_set who_is_ready(const std::list<Guest>& guests, const Fd& listener) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(listener.number(), &ready);
    int highest = listener.number();
    for (const Guest& guest : guests) {
        FD_SET(guest.number(), &ready);
        highest = std::max(highest, guest.number());
    }
    const int found = ::select(highest + 1, &ready, nullptr, nullptr, nullptr);
    if (found == -1 && errno == EINTR)
        FD_ZERO(&ready);
    else
        check(found, "select");
    return ready;
}

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const int patience = argc > 1 ? std::atoi(argv[1]) : 10'000; // milliseconds
    (void)patience;                                              // TODO(you)
    const Fd listener = listen_on("127.0.0.1", 0);
    std::list<Guest> guests;
    while (true) {
        const fd_set ready = who_is_ready(guests, listener);
        for (Guest& guest : guests)
            if (FD_ISSET(guest.number(), &ready)) guest.serve();
        std::erase_if(guests, [](const Guest& guest) { return guest.over(); });
        if (FD_ISSET(listener.number(), &ready))
            guests.emplace_back(
                Fd(check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept")));
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
