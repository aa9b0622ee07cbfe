// Again, but not at once.
#pragma once

#include "cancelled.hpp"
#include "clock.hpp"
#include "deferred.hpp"
#include "failure.hpp"

#include <algorithm>
#include <functional>
#include <memory>

// Fires after the delay, with nothing.
template <typename Result>
Deferred<Result> rest(Clock& clock, Delay delay) {
    const auto timer = std::make_shared<Timer>();
    Deferred<Result> over([timer](const auto&) { timer->cancel(); });
    *timer = clock.call_later(delay, [over] { over.callback(Result{}); });
    return over;
}

// Makes an attempt, and another one after `delay` if it fails, then after twice the delay, and so
// on: `times` attempts in all. The Failure of the last one is the Failure of all. Each pause is
// longer than the one before, since whoever cannot answer now is not helped by more calls. (Where
// thousands of clients lose one server in the same moment, add a little chance to the delay, or
// they all come back in the same moment, too.)
template <typename Result>
Deferred<Result> retry(Clock& clock, std::function<Deferred<Result>()> attempt, int times,
                       Delay delay) {
    const auto again = [=, &clock](const Failure& failure) -> typename Deferred<Result>::Answer {
        if (failure.is<Cancelled>()) return failure;
        return rest<Result>(clock, delay).add_callback([=, &clock](const Result&) {
            return retry(clock, attempt, times - 1, 2 * std::min(delay, Delay::max() / 2));
        });
    };
    return times > 1 ? attempt().add_errback(again) : attempt();
}
