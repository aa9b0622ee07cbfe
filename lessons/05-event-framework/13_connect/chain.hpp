// The links that wait for a result, and how a result goes through them. Users see the Deferred.
#pragma once

#include "cancelled.hpp"
#include "failure.hpp"
#include "log.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

template <typename Result>
class Deferred;

template <typename Result>
class Chain : public std::enable_shared_from_this<Chain<Result>> {
public:
    using Outcome = std::variant<Result, Failure>;
    using Answer = std::variant<Outcome, Deferred<Result>>;
    using Link = std::function<Answer(Outcome)>;
    using Canceller = std::function<void(const Deferred<Result>&)>;

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

    void cancel() {
        if (const auto other = waits_for_.lock()) return other->cancel();
        if (fired_) return;
        const auto canceller = std::exchange(canceller_, nullptr);
        forgets_one_ = !canceller;
        if (canceller) canceller(Deferred<Result>(this->shared_from_this()));
        if (!fired_) fire(Failure(Cancelled()));
    }

private:
    // Runs what can run now: this chain, and those that wait for its outcome. They stand in a list.
    // If each ran inside of the one before, a long row of them would overflow the stack.
    void run() {
        std::vector<std::shared_ptr<Chain>> ready{this->shared_from_this()};
        while (!ready.empty()) {
            const auto chain = ready.back();
            if (!chain->outcome_ || chain->links_.empty())
                ready.pop_back();
            else if (auto waiting = chain->run_link())
                ready.push_back(std::move(waiting));
        }
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
        if (other.get() == this)
            // NOLINTNEXTLINE(bugprone-throw-keyword-missing): it is kept, for whoever asks.
            outcome_ = Failure(std::logic_error("a Deferred cannot wait for itself"));
        else if (other->outcome_)
            outcome_ = std::exchange(other->outcome_, Result{});
        else {
            other->links_.push_back(this->shared_from_this());
            waits_for_ = other;
        }
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
};
