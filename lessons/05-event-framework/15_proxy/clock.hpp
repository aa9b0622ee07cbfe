// Later: a clock that makes calls.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

using Moment = std::chrono::steady_clock::time_point; // Not the time of day: that may jump.
using Delay = std::chrono::steady_clock::duration;

// So long after this moment: at once if the delay is less than nothing. A delay that goes beyond all
// moments means for ever; a sum that is too large would be a moment long ago.
inline Moment later(Moment moment, Delay delay) {
    if (delay > Moment::max() - moment) return Moment::max();
    return moment + std::max(delay, Delay::zero());
}

class Clock;

// A call that is to be made later. Copy it as you like; it does not keep the call alive, and must not
// be used when the clock is gone.
class Timer {
public:
    Timer() = default;
    Timer(Clock& clock, Moment moment, std::uint64_t number)
        : clock_(&clock), moment_(moment), number_(number) {}

    // The call will not be made. No harm if it has been made already.
    inline void cancel();

private:
    Clock* clock_ = nullptr;
    Moment moment_;
    std::uint64_t number_ = 0;
};

// Who needs the time takes a Clock: the loop is one, and in a test a FakeClock.
class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    virtual Moment now() const = 0;

    // Makes the call when the time has passed, from the loop. Of two calls for the same moment the
    // one that was asked for first comes first. It must not throw: nobody is there to catch it.
    virtual Timer call_later(Delay delay, std::function<void()> what) {
        const Moment moment = later(now(), delay);
        calls_.emplace(std::pair(moment, ++number_), std::move(what));
        return {*this, moment, number_};
    }

    void cancel(Moment moment, std::uint64_t number) { calls_.erase({moment, number}); }

protected:
    // How long nobody needs to be called: until the next call, at most an hour. Rounded up, or else
    // we would wake a little too early, and turn round and round until the moment has come.
    std::optional<std::chrono::microseconds> time_left() const {
        const auto moment = next();
        if (!moment) return std::nullopt;
        const Delay left = std::clamp<Delay>(*moment - now(), Delay::zero(), std::chrono::hours(1));
        return std::chrono::ceil<std::chrono::microseconds>(left);
    }

    // The moment of the next call.
    std::optional<Moment> next() const {
        return calls_.empty() ? std::nullopt : std::optional(calls_.begin()->first.first);
    }

    // Makes the calls that are due. Calls that these ask for wait for the next time, even those
    // without a delay: or else a call that asks for itself would never let anybody else in.
    void make_calls() {
        if (calls_.empty()) return;
        const std::pair last(now(), number_);
        while (!calls_.empty() && calls_.begin()->first <= last) {
            // Out of the list first: it may cancel itself, or ask for another.
            const auto call = calls_.extract(calls_.begin());
            call.mapped()();
        }
    }

private:
    std::map<std::pair<Moment, std::uint64_t>, std::function<void()>> calls_;
    std::uint64_t number_ = 0;
};

void Timer::cancel() {
    if (clock_ != nullptr) clock_->cancel(moment_, number_);
}
