// Sleeping until a descriptor is ready, with an end.
#pragma once

#include "check.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>

using Clock = std::chrono::steady_clock; // A clock that nobody can set back.
using Seconds = std::chrono::duration<double>;

// Sleeps until there is something to read (POLLIN), or room to write (POLLOUT), for so long at most.
// Was it that? A signal may wake us early. poll() can ask about any descriptor, where the sets of
// select() end at 1,023 (lesson 02, step 10).
inline bool is_ready(int number, short event, Seconds time) {
    pollfd asked{.fd = number, .events = event, .revents = 0};
    const Seconds left = std::clamp(time, Seconds(0), Seconds(3600));
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    const int ready = ::poll(&asked, 1, static_cast<int>(milliseconds));
    if (ready == -1 && errno == EINTR) return false;
    if (check(ready, "poll") > 0 && (asked.revents & POLLNVAL) != 0)
        throw std::logic_error("this descriptor is not open, or not any more");
    return ready > 0;
}
