// Many results as one.
#pragma once

#include "deferred.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

// Fires when all have their result, with all results in the order of `parts`, whoever was first. Or
// when the first one fails, with that Failure; what the others bring then is forgotten. To cancel
// it cancels them all. It takes over the chains: who adds a link to a part afterwards finds it
// empty.
template <typename Result>
Deferred<std::vector<Result>> gather(const std::vector<Deferred<Result>>& parts) {
    std::vector<std::function<void()>> buttons;
    for (const auto& part : parts)
        buttons.push_back(part.cancel_button());
    Deferred<std::vector<Result>> all([buttons](const auto&) {
        for (const auto& cancel : buttons)
            cancel();
    });
    if (parts.empty()) all.callback({});

    const auto results = std::make_shared<std::vector<Result>>(parts.size());
    const auto missing = std::make_shared<std::size_t>(parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i)
        parts[i].add_callbacks(
            [=](Result result) {
                (*results)[i] = std::move(result);
                if (--*missing == 0) all.callback(std::move(*results));
            },
            [=](const Failure& failure) {
                if (!all.fired()) all.errback(failure);
            });
    return all;
}
