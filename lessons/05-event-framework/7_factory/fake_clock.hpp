// A clock for tests: its time passes when you say so.
#pragma once

#include "clock.hpp"

class FakeClock final : public Clock {
public:
    Moment now() const override { return now_; }

    // Lets time pass, and makes the calls on the way, each at its own moment.
    void advance(Delay time) {
        const Moment end = later(now_, time);
        while (const auto moment = next()) {
            if (*moment > end) break;
            now_ = std::max(now_, *moment);
            make_calls();
        }
        now_ = end;
    }

private:
    Moment now_;
};
