// Exercise 02/reception, solved: the set speaks about those who were there when it was made.
#include "accept_errors.hpp"
#include "check.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

struct Guest {
    bool here = false;
    int lines = 0;          // that they have said
    std::string heard = {}; // and the beginning of the next one
};

// A guest for each descriptor.
using Guests = std::array<Guest, FD_SETSIZE>;

// Sleeps until somebody is ready: a guest, or one who comes. While the house is full nobody comes:
// the listener would be ready all the time. Then we look again after a fifth of a second.
fd_set who_is_ready(const Guests& guests, int listener, bool full) {
    fd_set ready;
    FD_ZERO(&ready);
    if (!full) FD_SET(listener, &ready);
    int highest = listener;
    for (int number = 0; number < FD_SETSIZE; ++number)
        if (guests[static_cast<size_t>(number)].here) {
            FD_SET(number, &ready);
            highest = std::max(highest, number);
        }
    timeval time{.tv_sec = 0, .tv_usec = 200'000};
    const int count = ::select(highest + 1, &ready, nullptr, nullptr, full ? &time : nullptr);
    if (count == -1 && errno == EINTR)
        FD_ZERO(&ready);
    else
        check(count, "select");
    return ready;
}

// Writes down what they say, and says each line again with its number. (The lines are short and the
// guests listen: send() takes them whole.) False: they have left, politely or not.
bool serve(int number, Guest& guest) try {
    std::array<char, 1024> bytes{};
    const ssize_t count = check(::recv(number, bytes.data(), bytes.size(), 0), "recv");
    guest.heard.append(bytes.data(), static_cast<size_t>(count));
    for (size_t end = 0; (end = guest.heard.find('\n')) != std::string::npos;) {
        const std::string line =
            std::to_string(++guest.lines) + ' ' + guest.heard.substr(0, end + 1);
        guest.heard.erase(0, end + 1);
        check(::send(number, line.data(), line.size(), 0), "send");
    }
    return count > 0;
} catch (const std::exception& error) {
    std::cerr << "lost a guest: " << error.what() << '\n';
    return false;
}

// Lets the next one in. False: there is no room for anybody.
bool let_in(Guests& guests, int listener) {
    const int number = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (number == -1) return !is_short_of_room(errno);
    if (number >= FD_SETSIZE) { // There is no bit for it in a set.
        ::close(number);
        return true;
    }
    guests[static_cast<size_t>(number)] = Guest{.here = true};
    return true;
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    Guests guests;
    bool full = false;
    while (true) {
        const fd_set ready = who_is_ready(guests, listener.number(), full);
        full = false;
        for (int number = 0; number < FD_SETSIZE; ++number) {
            Guest& guest = guests[static_cast<size_t>(number)];
            if (!guest.here || !FD_ISSET(number, &ready)) continue;
            if (serve(number, guest)) continue;
            ::close(number);
            guest.here = false;
        }
        // Last, since the one who comes may get the number of one who has left.
        if (FD_ISSET(listener.number(), &ready)) full = !let_in(guests, listener.number());
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
