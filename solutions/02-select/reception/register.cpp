// Exercise 02/reception, solved in another way: a guest owns the descriptor, and not it the guest.
#include "accept_errors.hpp"
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

// Begins and ends with the conversation, so nothing of it is left for who gets the number next.
class Guest {
public:
    explicit Guest(Fd caller) : caller_(std::move(caller)) {}
    int number() const { return caller_.number(); }

    // Writes down what they say, and says each line again with its number. False: they have left.
    bool serve() {
        std::array<char, 1024> bytes{};
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count == -1) return errno == EAGAIN || errno == EINTR;
        heard_.append(bytes.data(), static_cast<size_t>(count));
        for (size_t end = 0; (end = heard_.find('\n')) != std::string::npos;) {
            const std::string line = std::to_string(++lines_) + ' ' + heard_.substr(0, end + 1);
            heard_.erase(0, end + 1);
            if (::send(number(), line.data(), line.size(), 0) == -1) return false;
        }
        return count > 0;
    }

private:
    Fd caller_;
    int lines_ = 0;
    std::string heard_;
};

// Lets in whoever waits. False: there is no room for the next one.
bool let_in(std::list<Guest>& guests, const Fd& listener) {
    while (true) {
        Fd caller(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC));
        if (caller.number() == -1) return !is_short_of_room(errno);
        if (caller.number() < FD_SETSIZE) guests.emplace_back(std::move(caller));
    }
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    std::list<Guest> guests;
    bool open = true;
    while (true) {
        fd_set ready;
        FD_ZERO(&ready);
        int highest = -1;
        const auto watch = [&](int number) {
            FD_SET(number, &ready);
            highest = std::max(highest, number);
        };
        if (open) watch(listener.number());
        for (const Guest& guest : guests)
            watch(guest.number());
        timeval second{.tv_sec = 1, .tv_usec = 0};
        const int count = ::select(highest + 1, &ready, nullptr, nullptr, open ? nullptr : &second);
        if (count == -1 && errno == EINTR) continue;
        check(count, "select");

        // A place is free when somebody has left. It may also be free because another program has
        // closed a file: we look again after a second in which nobody spoke.
        const auto left = std::erase_if(guests, [&](Guest& guest) {
            return FD_ISSET(guest.number(), &ready) && !guest.serve();
        });
        const bool try_again = left > 0 || count == 0;
        if (open || try_again) open = let_in(guests, listener);
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
