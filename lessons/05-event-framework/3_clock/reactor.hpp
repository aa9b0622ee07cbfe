// The loop: it waits for descriptors and for moments, and calls whoever is concerned.
#pragma once

#include "clock.hpp"
#include "select_poller.hpp"
#include "watcher.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

// Owns its watchers. Not for several threads.
class Reactor : public Clock {
public:
    // Takes the watcher over, and calls it from now on.
    void watch(std::unique_ptr<Watcher> watcher, Interest interest) {
        const auto place = static_cast<std::size_t>(watcher->number());
        if (place >= table_.size()) table_.resize(place + 1);
        poller_.set(watcher->number(), interest);
        table_[place] = {std::move(watcher), interest};
    }

    // Calls it for something else from now on.
    void want(const Watcher& watcher, Interest interest) {
        Entry& entry = entry_of(watcher.number());
        if (entry.interest == interest) return;
        poller_.set(watcher.number(), interest);
        entry.interest = interest;
    }

    // Its last hour: it is destroyed, and with it its descriptor is closed. A watcher that says this
    // about itself must not touch itself any more.
    void unwatch(const Watcher& watcher) {
        poller_.set(watcher.number(), {});
        const Entry last = std::exchange(entry_of(watcher.number()), {});
    }

    Moment now() const override { return std::chrono::steady_clock::now(); }

    // Waits and calls, until somebody says stop().
    void run() {
        while (!stopped_)
            turn();
    }
    void stop() { stopped_ = true; }

private:
    struct Entry {
        std::unique_ptr<Watcher> watcher;
        Interest interest;
    };

    Entry& entry_of(int number) { return table_.at(static_cast<std::size_t>(number)); }

    // One round. We look up the watcher anew for each call: the call before may have ended it, and
    // even given its number to another. For that one the news is wrong, and no harm: a hint.
    void turn() {
        for (const auto& [number, ready] : poller_.wait(time_left())) {
            if (ready.reading && entry_of(number).interest.reading)
                entry_of(number).watcher->readable();
            if (ready.writing && entry_of(number).interest.writing)
                entry_of(number).watcher->writable();
        }
        make_calls();
    }

    SelectPoller poller_;
    std::vector<Entry> table_; // The kernel gives out small numbers: they are places in a table.
    bool stopped_ = false;
};
