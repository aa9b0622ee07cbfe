// A deadline for a connection that gets nowhere.
#pragma once

#include "clock.hpp"
#include "log.hpp"
#include "protocol.hpp"
#include "transport.hpp"

#include <cstddef>
#include <exception>
#include <utility>

// Ends the connection when there was no progress for so long. To make progress is cheap, for it only
// looks at the clock: the timer is not moved each time, it looks itself, and sleeps on.
class IdleWatch {
public:
    IdleWatch(Clock& clock, Transport& transport, Delay limit)
        : clock_(clock), transport_(transport), limit_(limit) {
        resume();
    }
    IdleWatch(const IdleWatch&) = delete;
    IdleWatch& operator=(const IdleWatch&) = delete;
    ~IdleWatch() { timer_.cancel(); }

    void progress() { last_ = clock_.now(); }

    // While it is we who take our time.
    void suspend() { timer_.cancel(); }
    void resume() {
        progress();
        look();
    }

private:
    void look() try {
        // If there is less to send than before, then they read: that is progress, too.
        const std::size_t unsent = transport_.unsent();
        if (unsent < std::exchange(unsent_, unsent)) progress();
        const Delay left = limit_ - (clock_.now() - last_);
        if (left > Delay::zero()) {
            timer_.cancel();
            timer_ = clock_.call_later(left, [this] { look(); });
        } else {
            log_line("lost a caller: too slow");
            transport_.abort_connection();
        }
    } catch (...) {
        log_line("lost a caller: ", text_of(std::current_exception()));
        transport_.abort_connection();
    }

    Clock& clock_;
    Transport& transport_;
    const Delay limit_;
    Moment last_;
    std::size_t unsent_ = 0;
    Timer timer_;
};
