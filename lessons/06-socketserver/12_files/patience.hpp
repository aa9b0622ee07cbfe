// How long a handler waits for its caller.
#pragma once

#include "bell.hpp"
#include "readiness.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>

// Until the caller is ready, until they are too slow; or until the server hangs up. Then nothing
// more is heard, and what is owed may take a second.
class Patience {
public:
    static constexpr auto grace = std::chrono::seconds(1);

    // `hang_up` rings for the end; it must outlive us.
    explicit Patience(const Bell& hang_up) : hang_up_(hang_up) {}

    std::optional<Seconds> timeout; // for one call of a function; nothing: for ever

    // When a call that begins now is too late.
    std::optional<Clock::time_point> end() const {
        if (!timeout) return std::nullopt;
        return deadline_in(*timeout);
    }

    // Sleeps until the socket is ready. Throws std::system_error, whose code is
    // std::errc::timed_out, when the end has come before.
    void wait(const char* name, int number, short event, std::optional<Clock::time_point> end) {
        while (true) {
            if (is_late(end) || is_late(last_))
                throw std::system_error(make_error_code(std::errc::timed_out), name);
            if (sleep(number, event, end) || (event == POLLIN && is_over())) return;
        }
    }

    // A nap of the handler, which nobody waits for longer than for an answer.
    void nap(Seconds time) {
        const auto end = deadline_in(time);
        while (!is_late(end)) {
            if (is_late(last_))
                throw std::system_error(make_error_code(std::errc::timed_out), "nap");
            sleep(-1, 0, end);
        }
    }

    // Have we heard that the server hangs up? Then so much of the last second is left.
    bool is_over() const { return last_.has_value(); }
    Seconds left() const { return last_ ? Seconds(*last_ - Clock::now()) : Seconds(grace); }

private:
    static bool is_late(std::optional<Clock::time_point> end) {
        return end && Clock::now() >= *end;
    }

    // Is it ready? Wakes early for the end of all, and notes it. Once is enough: it goes on
    // ringing.
    bool sleep(int number, short event, std::optional<Clock::time_point> end) {
        auto until = Clock::now() + std::chrono::hours(1);
        if (end) until = std::min(until, *end);
        if (last_) until = std::min(until, *last_);
        std::array<pollfd, 2> asked{
            {{.fd = number, .events = event, .revents = 0},
             {.fd = last_ ? -1 : hang_up_.number(), .events = POLLIN, .revents = 0}}};
        is_any_ready(asked, until - Clock::now());
        if (asked[1].revents != 0) last_ = Clock::now() + grace;
        return asked[0].revents != 0;
    }

    const Bell& hang_up_;
    std::optional<Clock::time_point> last_; // by then all must be said
};
