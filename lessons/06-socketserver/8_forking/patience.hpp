// How long a handler waits for its caller.
#pragma once

#include "readiness.hpp"

#include <chrono>
#include <optional>
#include <system_error>

class Patience {
public:
    std::optional<Seconds> timeout; // for one call of a function; nothing: for ever

    // When a call that begins now has taken too long.
    std::optional<Clock::time_point> end() const {
        if (!timeout) return std::nullopt;
        return deadline_in(*timeout);
    }

    // Sleeps until the socket is ready. Throws std::system_error, whose code is
    // std::errc::timed_out, when the end comes before.
    void wait(const char* name, int number, short event,
              std::optional<Clock::time_point> end) const {
        while (!is_ready(number, event, end ? Seconds(*end - Clock::now()) : Seconds(3600)))
            if (end && Clock::now() >= *end)
                throw std::system_error(make_error_code(std::errc::timed_out), name);
    }
};
