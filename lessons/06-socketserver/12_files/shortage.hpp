// When there is no room for a request that has come.
#pragma once

#include "accept_errors.hpp"
#include "log.hpp"
#include "readiness.hpp"

#include <cerrno>
#include <chrono>
#include <new>
#include <system_error>

// Python forgets all errors of get_request(). At the limit of descriptors the request stays where
// it is, so serve_forever() asks again, at once and for ever (measured: 13,000 to 29,000 times a
// second, with all the processor that it gets). We rest for a second.
class Shortage {
public:
    // Call it where an exception of get_request() is caught. Throws it again where it cannot heal.
    void look_at_exception() {
        try {
            throw;
        } catch (const std::system_error& error) {
            const int why = error.code().value();
            if (why == EBADF || why == EINVAL || why == ENOTSOCK) throw;
            if (is_short_of_room(why)) rest(error.what());
        } catch (const std::bad_alloc& error) {
            rest(error.what());
        }
    }

    // How long we still rest; nothing, or less, when there is no shortage.
    Seconds left() const { return over_ - Clock::now(); }

private:
    void rest(const char* why) {
        log_line("no room for a request: ", why, "; I wait a second");
        over_ = Clock::now() + std::chrono::seconds(1);
    }

    Clock::time_point over_;
};
