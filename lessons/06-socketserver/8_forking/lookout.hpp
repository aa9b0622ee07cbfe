// What a server watches while it sleeps.
#pragma once

#include "readiness.hpp"

#include <poll.h>

#include <vector>

class Lookout {
public:
    // Is there something at the door? Sleeps until there is, or something else that we watch is
    // readable, for so long at most. A door of -1 is one that we do not look at.
    bool wait(int door, Seconds time) {
        watched_.front().fd = door;
        return is_any_ready(watched_, time) && watched_.front().revents != 0;
    }

    // So that the next watch() asks for no memory.
    void make_room() { watched_.reserve(watched_.size() + 1); }
    void watch(int number) { watched_.push_back(readable(number)); }
    void unwatch(int number) {
        std::erase_if(watched_, [number](const pollfd& one) { return one.fd == number; });
    }

private:
    static pollfd readable(int number) { return {.fd = number, .events = POLLIN, .revents = 0}; }

    std::vector<pollfd> watched_{readable(-1)};
};
