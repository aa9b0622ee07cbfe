// Who is ready? There are several ways to ask the kernel, and the loop does not care.
#pragma once

#include "watcher.hpp"

#include <chrono>
#include <optional>
#include <span>

struct Ready {
    int number;
    Interest what;
};

class Poller {
public:
    Poller() = default;
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;
    virtual ~Poller() = default;

    // What we wait for has changed. To want nothing is to hear nothing, not even that they are gone.
    virtual void set(int number, Interest before, Interest now) = 0;

    // The descriptor is about to be closed.
    virtual void forget(int number, Interest before) = 0;

    // There was news of a number that nobody watches. If it was closed, then a copy lives elsewhere.
    virtual void disown(int /*number*/) {}

    // Sleeps until somebody is ready or the time is over; without a time, for ever. A signal ends
    // the sleep too: then nobody is ready. The answer holds until the next call.
    virtual std::span<const Ready> wait(std::optional<std::chrono::microseconds> time) = 0;
};

// For those that count in milliseconds; -1 is for ever. Rounded up, or else we would wake too early.
inline int milliseconds(std::optional<std::chrono::microseconds> time) {
    if (!time) return -1;
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*time).count());
}
