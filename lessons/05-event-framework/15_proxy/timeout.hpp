// A result that comes in time, or not at all.
#pragma once

#include "cancelled.hpp"
#include "clock.hpp"
#include "deferred.hpp"

#include <memory>
#include <stdexcept>

class TimedOut : public std::runtime_error {
public:
    TimedOut() : std::runtime_error("timed out: no result came in time") {}
};

// Cancels `deferred` when it has no outcome after `delay`; its Failure is then TimedOut. Links that
// were added before see Cancelled: the time is up where this stands in the chain. The clock must
// live until there is an outcome.
template <typename Result>
Deferred<Result> add_timeout(const Deferred<Result>& deferred, Clock& clock, Delay delay) {
    const auto is_over = std::make_shared<bool>(false);
    auto timer = clock.call_later(delay, [=] {
        *is_over = true;
        deferred.cancel();
    });
    return deferred
        .add_both([timer](auto outcome) mutable {
            timer.cancel();
            return outcome;
        })
        .add_errback([is_over](const Failure& failure) {
            return *is_over && failure.is<Cancelled>() ? Failure(TimedOut()) : failure;
        });
}
