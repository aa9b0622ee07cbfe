// A result that is not there yet, and a chain of functions that wait for it.
#pragma once

#include "chain.hpp"
#include "failure.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

// Whoever makes a result hands out a Deferred at once, and fires it later, once. Whoever wants the
// result adds links to its chain. A link is a pair: a callback, which takes a result, and an
// errback, which takes a Failure. One of the two runs, never both. What it returns goes to the next
// link; what it throws goes there as a Failure.
//
// There is no thread here, and nobody waits. Links run inside of the call that fires; and a link
// that comes after that runs at once. (Only where a hundred such calls stand inside of one another,
// it runs when the innermost link has returned: see flat.hpp.) A Deferred is a handle: its copies
// mean the same chain. Use them all from one thread.
template <typename Result>
class Deferred {
public:
    using Outcome = typename Chain<Result>::Outcome; // a Result or a Failure

    // What a link may return: a Result, a Failure, an Outcome, or another Deferred. Then the chain
    // waits until that one is done, and goes on with its outcome. A link that returns nothing
    // passes on an empty Result{}, as Python passes on None.
    using Answer = typename Chain<Result>::Answer;

    // What ends the work when nobody wants its result. It may fire the Deferred, and need not.
    using Canceller = std::function<void(const Deferred&)>;

    explicit Deferred(Canceller canceller = nullptr)
        : chain_(Chain<Result>::make(std::move(canceller))) {}

    Deferred add_callbacks(auto callback, auto errback) const {
        chain_->add([callback, errback](Outcome outcome) mutable -> Answer {
            if (auto* result = std::get_if<Result>(&outcome))
                return answer_of(callback, std::move(*result));
            return answer_of(errback, std::get<Failure>(outcome));
        });
        return *this;
    }

    // The errback of this pair passes the Failure on. And the other way round: an errback guards
    // the links before it, and never the callback beside it.
    Deferred add_callback(auto callback) const {
        return add_callbacks(callback, [](Failure failure) { return failure; });
    }
    Deferred add_errback(auto errback) const {
        return add_callbacks([](Result result) { return result; }, errback);
    }

    // One function for both ways: it takes an Outcome.
    Deferred add_both(auto function) const { return add_callbacks(function, function); }

    // These two fire. A second time throws std::logic_error: a result comes once.
    void callback(Result result) const { chain_->fire(std::move(result)); }
    void errback(Failure failure) const { chain_->fire(std::move(failure)); }
    bool fired() const { return chain_->fired(); }

    // The result is not wanted: the chain goes on with the Failure Cancelled. Where nobody can end
    // the work, its result comes all the same and is forgotten. A chain that waits for another one
    // cancels that one. When all is done, there is nothing to cancel.
    void cancel() const { chain_->cancel(); }

    // Cancels, too, for somebody whom this chain knows: a handle there would be a circle, and
    // neither of the two would ever be freed. When the chain is gone, it does nothing.
    std::function<void()> cancel_button() const {
        return [chain = std::weak_ptr(chain_)] {
            if (const auto alive = chain.lock()) alive->cancel();
        };
    }

    // What the chain has come to so far; empty before it fires, while a link runs, while it waits.
    const std::optional<Outcome>& outcome() const { return chain_->outcome(); }

private:
    friend class Chain<Result>;
    explicit Deferred(std::shared_ptr<Chain<Result>> chain) : chain_(std::move(chain)) {}

    static Answer answer_of(auto& function, auto argument) try {
        if constexpr (std::is_void_v<decltype(function(std::move(argument)))>) {
            function(std::move(argument));
            return Result{};
        } else
            return function(std::move(argument));
    } catch (...) {
        return Failure(std::current_exception());
    }

    std::shared_ptr<Chain<Result>> chain_;
};

// What has come already, as a Deferred.
template <typename Result>
Deferred<Result> succeeded(Result result) {
    Deferred<Result> done;
    done.callback(std::move(result));
    return done;
}
template <typename Result>
Deferred<Result> failed(Failure failure) {
    Deferred<Result> done;
    done.errback(std::move(failure));
    return done;
}
