// Sleeping until a descriptor is ready, with an end.
#pragma once

#include "check.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <span>
#include <stdexcept>

using Clock = std::chrono::steady_clock; // A clock that nobody can set back.
using Seconds = std::chrono::duration<double>;

// NaN is no length of time. Every comparison with it says no, so a wait would have no end.
inline Seconds check_timeout(Seconds time) {
    if (std::isnan(time.count()))
        throw std::invalid_argument("a timeout is NaN: give it a number of seconds");
    return time;
}

// When a wait that begins now is over. The clock counts 292 years and no more, so a century stands
// for everything longer, also for infinity.
inline Clock::time_point deadline_in(Seconds time) {
    constexpr Seconds century = std::chrono::years(100);
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                              std::clamp(check_timeout(time), -century, century));
}

// poll() passes over -1, the number of a closed socket: it would sleep, and nothing could come.
inline int check_open(int number) {
    if (number == -1)
        throw std::logic_error("this server is closed, and no request can come: make a new one");
    return number;
}

// Sleeps until there is something to read (POLLIN) or room to write (POLLOUT), for so long at most.
// Is there? A signal may wake us early. poll() passes over a negative number, and can ask about any
// other, where the sets of select() end at 1,023 (lesson 02, step 10).
inline bool is_any_ready(std::span<pollfd> asked, Seconds time) {
    const Seconds left = std::clamp(check_timeout(time), Seconds(0), Seconds(3600));
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    const int ready = ::poll(asked.data(), asked.size(), static_cast<int>(milliseconds));
    if (ready == -1 && errno == EINTR) {
        for (pollfd& one : asked)
            one.revents = 0; // poll() has not said anything: what stands there is old.
        return false;
    }
    for (const pollfd& one : asked)
        if (check(ready, "poll") > 0 && (one.revents & POLLNVAL) != 0)
            throw std::logic_error("this descriptor is not open, or not any more");
    return ready > 0;
}

inline bool is_ready(int number, short event, Seconds time) {
    std::array<pollfd, 1> asked{{{.fd = number, .events = event, .revents = 0}}};
    return is_any_ready(asked, time);
}
