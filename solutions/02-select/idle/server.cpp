// Exercise 02/idle, solved: select() sleeps until somebody speaks, or until the nearest deadline.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <list>
#include <string>

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

class Guest {
public:
    Guest(Fd caller, Milliseconds patience)
        : caller_(std::move(caller)), patience_(patience), deadline_(Clock::now() + patience) {}
    int number() const { return caller_.number(); }
    bool over() const { return over_; }
    Clock::time_point deadline() const { return deadline_; }

    void serve() {
        std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        over_ = count <= 0;
        if (over_) return;
        heard_.append(bytes.data(), static_cast<size_t>(count));
        const size_t end = heard_.rfind('\n') + 1;
        if (end == 0) return; // A part of a line is no progress, however many parts there are.
        say(heard_.substr(0, end));
        heard_.erase(0, end);
        deadline_ = Clock::now() + patience_;
    }

private:
    // The lines are short and the guests listen: send() takes them whole.
    void say(const std::string& lines) {
        if (::send(number(), lines.data(), lines.size(), 0) == -1) over_ = true;
    }

    Fd caller_;
    Milliseconds patience_;
    Clock::time_point deadline_; // for the next line
    std::string heard_;          // less than a line
    bool over_ = false;
};

// Sleeps until somebody is ready, or the first of all deadlines has come.
fd_set who_is_ready(const std::list<Guest>& guests, const Fd& listener) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(listener.number(), &ready);
    int highest = listener.number();
    auto nearest = Clock::time_point::max();
    for (const Guest& guest : guests) {
        FD_SET(guest.number(), &ready);
        highest = std::max(highest, guest.number());
        nearest = std::min(nearest, guest.deadline());
    }
    // Rounded up, or the last bit of the time would be spent in circles.
    const auto left = std::max(Clock::duration(0), nearest - Clock::now());
    const auto count = std::chrono::ceil<std::chrono::microseconds>(left).count();
    timeval time{.tv_sec = count / 1'000'000, .tv_usec = count % 1'000'000};
    timeval* const wait = guests.empty() ? nullptr : &time;
    const int found = ::select(highest + 1, &ready, nullptr, nullptr, wait);
    if (found == -1 && errno == EINTR)
        FD_ZERO(&ready);
    else
        check(found, "select");
    return ready;
}

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const Milliseconds patience(argc > 1 ? std::atoi(argv[1]) : 10'000);
    const Fd listener = listen_on("127.0.0.1", 0);
    std::list<Guest> guests;
    while (true) {
        const fd_set ready = who_is_ready(guests, listener);
        for (Guest& guest : guests)
            if (FD_ISSET(guest.number(), &ready)) guest.serve();

        // Only now, when all that has come is heard: if we are late, it is not their fault.
        const auto now = Clock::now();
        std::erase_if(guests,
                      [&](const Guest& guest) { return guest.over() || guest.deadline() <= now; });
        if (FD_ISSET(listener.number(), &ready))
            guests.emplace_back(
                Fd(check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept")),
                patience);
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
