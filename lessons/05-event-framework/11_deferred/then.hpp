// From one kind of result to another.
#pragma once

#include "deferred.hpp"
#include "flat.hpp"

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

// A chain carries one kind of result from its beginning to its end. Here another chain begins where
// the first one ends: `next` takes its result, and returns a Deferred of another kind. A Failure of
// the first is a Failure of the second. To cancel cancels whichever of the two is under way.
template <typename Result, typename Next>
std::invoke_result_t<Next&, Result> then(const Deferred<Result>& first, Next next) {
    using Second = std::invoke_result_t<Next&, Result>;
    Second second([cancel = first.cancel_button()](const auto&) { cancel_in_turn(cancel); });
    const auto came = std::make_shared<Result>();
    second.add_callback([came, next](const auto&) mutable { return next(std::move(*came)); });
    first.add_callbacks(
        [came, second](Result result) {
            *came = std::move(result);
            if (!second.fired()) second.callback({});
        },
        [second](const Failure& failure) {
            if (!second.fired()) second.errback(failure);
        });
    return second;
}
