// The links that wait for a result, and how a result goes through them. Users see the Deferred.
#pragma once

#include "cancelled.hpp"
#include "failure.hpp"
#include "flat.hpp"
#include "log.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

template <typename Result>
class Deferred;

template <typename Result>
class Chain : public std::enable_shared_from_this<Chain<Result>> {
public:
    using Outcome = std::variant<Result, Failure>;
    using Answer = std::variant<Outcome, Deferred<Result>>;
    using Link = std::function<Answer(Outcome)>;
    using Canceller = std::function<void(const Deferred<Result>&)>;

    // A chain for any number of handles. The last of them destroys it.
    static std::shared_ptr<Chain> make(Canceller canceller) {
        return {std::make_unique<Chain>(std::move(canceller)).release(), destroy_in_turn<Chain>};
    }

    explicit Chain(Canceller canceller) : canceller_(std::move(canceller)) {}
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;

    // A Failure that has come to the end of its chain has met nobody. At least the log hears of it.
    ~Chain() {
        if (outcome_ && std::holds_alternative<Failure>(*outcome_))
            log_line("a failure that nobody handled: ", std::get<Failure>(*outcome_).what());
    }

    bool fired() const { return fired_; }
    const std::optional<Outcome>& outcome() const { return outcome_; }

    void add(Link link) {
        links_.push_back(std::move(link));
        run();
    }

    void fire(Outcome outcome) {
        if (fired_ && std::exchange(forgets_one_, false)) return;
        if (fired_) throw std::logic_error("this Deferred has fired before: a result comes once");
        fired_ = true;
        canceller_ = nullptr;
        outcome_ = std::move(outcome);
        run();
    }

    // We may wait for a chain that waits for another one. The last of them is the work that is under
    // way. A loop finds it, since such a row may be as long as the data says.
    void cancel() {
        auto chain = this->shared_from_this();
        while (const auto other = chain->waits_for_.lock())
            chain = other;
        chain->end_work();
    }

private:
    // Runs what can run now: this chain, and those that wait for its outcome. They stand in a list:
    // if each ran inside of the one before, a long row of them would overflow the stack.
    void run() {
        auto self = this->shared_from_this();
        if (Running<Chain>::leave_to_outer_call(self)) return;
        Running<Chain> running(std::move(self));
        while (const auto chain = running.last()) {
            if (!chain->outcome_ || chain->links_.empty())
                running.pop();
            else if (auto waiting = chain->run_link())
                running.push(std::move(waiting));
        }
    }

    void end_work() {
        if (fired_) return;
        const auto canceller = std::exchange(canceller_, nullptr);
        forgets_one_ = !canceller;
        if (canceller) canceller(Deferred<Result>(this->shared_from_this()));
        if (!fired_) fire(Failure(Cancelled()));
    }

    // Runs the first link. If the outcome goes to another chain instead, gives that one back. While
    // a link runs there is no outcome: links that it adds wait for their turn.
    std::shared_ptr<Chain> run_link() {
        auto first = std::move(links_.front());
        links_.pop_front();
        auto outcome = *std::exchange(outcome_, std::nullopt);
        if (auto* link = std::get_if<Link>(&first)) {
            go_on((*link)(std::move(outcome)));
            return nullptr;
        }
        auto waiting = std::get<std::shared_ptr<Chain>>(std::move(first));
        waiting->waits_for_.reset();
        waiting->outcome_ = std::move(outcome);
        outcome_ = Result{}; // Given away: a link that comes now finds it empty.
        return waiting;
    }

    void go_on(Answer answer) {
        if (auto* outcome = std::get_if<Outcome>(&answer)) {
            outcome_ = std::move(*outcome);
            return;
        }
        const auto other = std::get<Deferred<Result>>(answer).chain_;
        if (waits_for_us(other))
            // NOLINTNEXTLINE(bugprone-throw-keyword-missing): it is kept, for whoever asks.
            outcome_ = Failure(std::logic_error("a Deferred cannot wait for itself"));
        else if (other->outcome_ && other->links_.empty())
            outcome_ = std::exchange(other->outcome_, Result{});
        else {
            other->links_.push_back(this->shared_from_this());
            other->awaited_ = true;
            waits_for_ = other;
        }
    }

    // Is the other one this chain, or does it wait for this chain, through however many others? Then
    // none of them would ever fire, and each would own the next. A chain for which no other one has
    // waited need not look.
    bool waits_for_us(std::shared_ptr<Chain> other) const {
        while (awaited_ && other && other.get() != this)
            other = other->waits_for_.lock();
        return other.get() == this;
    }

    std::deque<std::variant<Link, std::shared_ptr<Chain>>> links_; // or a chain that waits for us
    std::optional<Outcome>
        outcome_; // None: not fired, or a link runs, or we wait for another chain.
    // While we wait for another chain, it owns us: we stand among its links. If we owned it, too,
    // neither would ever be freed.
    std::weak_ptr<Chain> waits_for_;
    Canceller canceller_;
    bool fired_ = false;
    bool forgets_one_ = false; // The next result comes too late.
    bool awaited_ = false;     // Another chain has waited for us.

    friend void destroy_in_turn<Chain>(Chain*);
    std::unique_ptr<Chain> next_destroyed_;
};
