// What a server watches while it sleeps.
#pragma once

#include "bell.hpp"
#include "readiness.hpp"

#include <poll.h>

#include <vector>

class Lookout {
public:
    // Is there something at the door? Sleeps until there is, until the bell rings, or something
    // else that we watch is readable; for so long at most. A door of -1 is one that we do not look
    // at.
    bool wait(int door, Seconds time) {
        watched_.front().fd = door;
        if (!is_any_ready(watched_, time)) return false;
        if (watched_[1].revents != 0) bell_.hush();
        return watched_.front().revents != 0;
    }

    void ring() const noexcept { bell_.ring(); }

    // So that the next watch() asks for no memory.
    void make_room() { watched_.reserve(watched_.size() + 1); }
    void watch(int number) { watched_.push_back(readable(number)); }
    void unwatch(int number) {
        std::erase_if(watched_, [number](const pollfd& one) { return one.fd == number; });
    }

private:
    static pollfd readable(int number) { return {.fd = number, .events = POLLIN, .revents = 0}; }

    Bell bell_;
    std::vector<pollfd> watched_{readable(-1), readable(bell_.number())};
};
