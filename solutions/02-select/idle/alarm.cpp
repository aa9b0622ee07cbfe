// Exercise 02/idle, solved in another way: each guest has an alarm clock, which is a descriptor, too.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

struct Guest {
    Fd caller;
    Fd alarm;
    std::string heard = {}; // less than a line
    bool over = false;
};

// Ready to be read when so much time has passed. Set anew, it forgets what it was set to before.
void set_alarm(const Fd& alarm, int milliseconds) {
    itimerspec time{};
    time.it_value.tv_sec = milliseconds / 1000;
    time.it_value.tv_nsec = milliseconds % 1000 * 1'000'000L;
    check(::timerfd_settime(alarm.number(), 0, &time, nullptr), "timerfd_settime");
}

void serve(Guest& guest, int patience) {
    std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
    const ssize_t count = ::recv(guest.caller.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
    guest.over = count <= 0;
    if (guest.over) return;
    guest.heard.append(bytes.data(), static_cast<size_t>(count));
    const size_t end = guest.heard.rfind('\n') + 1;
    if (end == 0) return;
    if (::send(guest.caller.number(), guest.heard.data(), end, 0) == -1) guest.over = true;
    guest.heard.erase(0, end);
    set_alarm(guest.alarm, patience);
}

Guest welcome(const Fd& listener, int patience) {
    Guest guest{
        .caller = Fd(check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept")),
        .alarm = Fd(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create"))};
    set_alarm(guest.alarm, patience);
    return guest;
}

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const int patience = argc > 1 ? std::atoi(argv[1]) : 10'000;
    const Fd listener = listen_on("127.0.0.1", 0);
    std::vector<Guest> guests;
    while (true) {
        std::vector<pollfd> places;
        for (const Guest& guest : guests) {
            places.push_back({guest.caller.number(), POLLIN, 0});
            places.push_back({guest.alarm.number(), POLLIN, 0});
        }
        places.push_back({listener.number(), POLLIN, 0});
        insist("poll", [&] { return ::poll(places.data(), places.size(), -1); });

        // Who has spoken is heard, and their alarm does not count.
        for (size_t i = 0; i < guests.size(); ++i) {
            if (places[2 * i].revents != 0) serve(guests[i], patience);
            const bool rings = places[2 * i + 1].revents != 0;
            pollfd now{guests[i].alarm.number(), POLLIN, 0};
            if (rings && ::poll(&now, 1, 0) == 1) guests[i].over = true;
        }
        std::erase_if(guests, [](const Guest& guest) { return guest.over; });
        if (places.back().revents != 0) guests.push_back(welcome(listener, patience));
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
