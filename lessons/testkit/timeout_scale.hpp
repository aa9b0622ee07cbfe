// How long a test waits. Every wait has a deadline, and a slow machine or build gets later ones: a
// verdict is about the program, not about the machine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// What every timeout is multiplied with: the build (1, and 5 under a sanitizer), the machine (1 to
// 20), and the environment's NETSTEPS_PATIENCE. The machine is measured when it is first asked for,
// with whatever runs beside, and again whenever a deadline would pass; the slowest counts.
double timeout_scale();

// Measures the machine now, in about 20 ms: a fork, a wake-up, its share of a processor.
void measure_machine();

// The same with a start of this Python and some forks in it, for whoever judges a Python server.
void measure_python(const std::string& interpreter);

// From now on the machine counts as the usual one, whatever it is. For checks that tell mistakes from
// one another by when something happens: a deadline that moves would let some of them pass.
void assume_usual_machine();

// Whether a sanitizer is built in: it makes memory and races its own.
bool sanitized();

// A moment, `timeout` from now. A scaled one looks at the machine before it passes: if that has
// become slower meanwhile, there is more time. A deadline costs time only in a test that fails.
class Deadline {
public:
    explicit Deadline(Seconds timeout) : timeout_(timeout) {}
    friend Deadline scaled(Seconds timeout);

    bool passed() const {
        if (is_scaled_ && left() <= Seconds(0)) measure_machine();
        return left() <= Seconds(0);
    }

    Seconds left() const {
        const Seconds whole = timeout_ * (is_scaled_ ? timeout_scale() : 1);
        const auto now = Clock::now();
        const Seconds left = std::min(whole - (now - began_), renewals * whole - (now - first_));
        return std::max(left, Seconds(0));
    }

    // For poll(2): rounded up, or the last millisecond would be spent spinning.
    int milliseconds() const { return static_cast<int>(std::ceil(left().count() * 1000)); }

    // Something has moved, so the timeout begins again: a long job is judged by its progress. Not
    // for ever, or a server that sends a byte now and then would keep us.
    void renew() { began_ = Clock::now(); }

    bool is_scaled() const { return is_scaled_; }

private:
    static constexpr int renewals = 12;
    Clock::time_point first_ = Clock::now();
    Clock::time_point began_ = first_;
    Seconds timeout_;
    bool is_scaled_ = false;
};

inline Deadline scaled(Seconds timeout) {
    Deadline deadline(timeout);
    deadline.is_scaled_ = true;
    return deadline;
}
