// How long a test waits: every wait has a deadline, and slow builds get longer ones.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// 1 on a plain build, 5 under a sanitizer; the environment's NETSTEPS_PATIENCE multiplies it for a
// machine that is slower still. A deadline costs time only in a test that fails, so it can be wide.
double patience();

// Whether a sanitizer is built in: it makes memory and races its own.
bool sanitized();

class Deadline {
public:
    explicit Deadline(Seconds within) : end_(Clock::now() + within) {}

    bool passed() const { return Clock::now() >= end_; }
    Seconds left() const { return std::max(Seconds(end_ - Clock::now()), Seconds(0)); }

    // For poll(2): rounded up, or the last millisecond would be spent spinning.
    int milliseconds() const { return static_cast<int>(std::ceil(left().count() * 1000)); }

private:
    std::chrono::time_point<Clock, Seconds> end_;
};

inline Deadline patient(Seconds within) {
    return Deadline(within * patience());
}
