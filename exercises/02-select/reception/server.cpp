// Exercise 02/reception: a desk where many guests are heard at once. README.md says who complains.
#include "check.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

struct Guest {
    bool here = false;
    int lines = 0;     // that they have said
    std::string heard; // and the beginning of the next one
};

// A guest for each descriptor.
using Guests = std::array<Guest, FD_SETSIZE>;

// Sleeps until somebody is ready: a guest, or one who comes.
fd_set who_is_ready(const Guests& guests, int listener) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(listener, &ready);
    int highest = listener;
    for (int number = 0; number < FD_SETSIZE; ++number)
        if (guests[static_cast<size_t>(number)].here) {
            FD_SET(number, &ready);
            highest = std::max(highest, number);
        }
    insist("select", [&] { return ::select(highest + 1, &ready, nullptr, nullptr, nullptr); });
    return ready;
}

// Have they hung up? It looks at the next byte and takes nothing.
bool has_left(int number) {
    char byte{};
    return check(::recv(number, &byte, 1, MSG_PEEK), "recv") == 0;
}

// Writes down what they say, and says each line again with its number. (The lines are short and the
// guests listen: send() takes them whole.)
void serve(int number, Guest& guest) {
    std::array<char, 1024> bytes{};
    const ssize_t count = check(::recv(number, bytes.data(), bytes.size(), 0), "recv");
    guest.heard.append(bytes.data(), static_cast<size_t>(count));
    for (size_t end = 0; (end = guest.heard.find('\n')) != std::string::npos;) {
        const std::string line =
            std::to_string(++guest.lines) + ' ' + guest.heard.substr(0, end + 1);
        guest.heard.erase(0, end + 1);
        check(::send(number, line.data(), line.size(), 0), "send");
    }
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    Guests guests;
    while (true) {
        const fd_set ready = who_is_ready(guests, listener.number());

        // Who has left makes room for who comes.
        for (int number = 0; number < FD_SETSIZE; ++number) {
            Guest& guest = guests[static_cast<size_t>(number)];
            if (guest.here && FD_ISSET(number, &ready) && has_left(number)) {
                ::close(number);
                guest.here = false;
            }
        }
        if (FD_ISSET(listener.number(), &ready)) {
            const int number = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
            if (number != -1) guests[static_cast<size_t>(number)].here = true;
            // Else something has gone wrong with this one. The next pass will show.
        }
        for (int number = 0; number < FD_SETSIZE; ++number) {
            Guest& guest = guests[static_cast<size_t>(number)];
            if (guest.here && FD_ISSET(number, &ready)) serve(number, guest);
        }
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
