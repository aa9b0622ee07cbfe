// Those who have ended, and are still in the middle of something.
#pragma once

#include "watcher.hpp"

#include <memory>
#include <utility>

class Graveyard {
public:
    // Whoever was never buried goes with us, one after another: if each took the next one along, a
    // long row of them would overflow the stack.
    ~Graveyard() {
        while (first_)
            first_ = std::move(first_->next_dead_);
    }

    // It takes no memory to die, for that may be what somebody dies of: each dead watcher holds the
    // next one.
    void lay_out(std::unique_ptr<Watcher> watcher) {
        watcher->next_dead_ = std::move(first_);
        first_ = std::move(watcher);
    }

    // When nobody is in the middle of anything. A burial may be the death of others: theirs is next.
    void bury() {
        while (const auto watcher = std::move(first_)) {
            first_ = std::move(watcher->next_dead_);
            watcher->buried();
        }
    }

private:
    std::unique_ptr<Watcher> first_;
};
