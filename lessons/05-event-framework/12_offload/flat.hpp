// How a row of chains, as long as the data says, needs no more stack than a short one.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

constexpr int deepest = 100; // So many calls may stand inside of one another.

// The chains that one call of run() has still to run. A link may fire another chain, whose links run
// at once, in a call of run() inside of this one, and fire the next. A hundred calls inside of one
// another are enough: what comes then is left to the innermost of them.
template <typename Chain>
class Running {
public:
    static bool leave_to_outer_call(const std::shared_ptr<Chain>& chain) {
        if (innermost == nullptr || innermost->depth_ < deepest) return false;
        innermost->push(chain);
        return true;
    }

    explicit Running(std::shared_ptr<Chain> first) { push(std::move(first)); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { innermost = outer_; }

    void push(std::shared_ptr<Chain> chain) { chains_.push_back(std::move(chain)); }
    void pop() { chains_.pop_back(); }
    std::shared_ptr<Chain> last() const { return chains_.empty() ? nullptr : chains_.back(); }

private:
    static inline thread_local Running* innermost = nullptr;

    Running* const outer_ = std::exchange(innermost, this);
    const int depth_ = outer_ == nullptr ? 1 : outer_->depth_ + 1;
    std::vector<std::shared_ptr<Chain>> chains_;
};

// Destroys a chain, for its last handle. The chain owns its links; a link may hold the last handle of
// another chain, and so on. So a chain that goes while another one is being destroyed is only put
// into a list, and destroyed when that one is. The list takes no memory: each chain holds the next.
template <typename Chain>
void destroy_in_turn(Chain* chain) {
    static thread_local std::unique_ptr<Chain>* list = nullptr; // None: nothing is being destroyed.
    std::unique_ptr<Chain> first(chain);
    if (list != nullptr) {
        first->next_destroyed_ = std::move(*list);
        *list = std::move(first);
        return;
    }
    list = &first;
    while (const auto next = std::move(first))
        first = std::move(next->next_destroyed_);
    list = nullptr;
}

// Cancels for a canceller: the one that it cancels may have a canceller that cancels the next, and so
// on. Beyond the deepest, one is cancelled when the outermost call has returned.
inline void cancel_in_turn(std::function<void()> cancel) {
    static thread_local int depth = 0;
    static thread_local std::vector<std::function<void()>> waiting;
    waiting.push_back(std::move(cancel));
    if (depth == deepest) return;
    ++depth;
    const std::shared_ptr<void> leave(nullptr, [](void*) { --depth; }); // Also where one throws.
    do {
        const auto next = std::move(waiting.back());
        waiting.pop_back();
        next();
    } while (depth == 1 && !waiting.empty());
}
