// The loop: it waits for descriptors and for moments, and calls whoever is concerned. It
// belongs to one thread; the others may post.
#pragma once

#include "clock.hpp"
#include "graveyard.hpp"
#include "pollers.hpp"
#include "post_box.hpp"
#include "watcher.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// Owns its watchers. It is for the thread that made it: whoever else calls is refused, loudly, for
// otherwise it would go well for weeks.
class Reactor : public Clock {
public:
    explicit Reactor(std::unique_ptr<Poller> poller = make_poller("epoll"))
        : poller_(std::move(poller)) {
        auto post_box = std::make_unique<PostBox>();
        post_box_ = post_box.get();
        watch(std::move(post_box), {.reading = true});
    }

    // Takes the watcher over, and calls it from now on.
    void watch(std::unique_ptr<Watcher> watcher, Interest interest) {
        insist_on_my_thread("watch");
        const auto place = static_cast<std::size_t>(watcher->number());
        if (place >= table_.size()) table_.resize(place + 1);
        poller_->set(watcher->number(), table_[place].interest, interest);
        table_[place] = {std::move(watcher), interest};
    }

    // Calls it for something else from now on.
    void want(const Watcher& watcher, Interest interest) {
        insist_on_my_thread("want");
        Entry& entry = entry_of(watcher.number());
        if (entry.interest == interest) return;
        poller_->set(watcher.number(), entry.interest, interest);
        entry.interest = interest;
    }

    // Nobody calls it again. It is destroyed at the end of the round: whoever says this may be in the
    // middle of a call to that very watcher, or be it. Its descriptor comes back, for somebody else; who
    // does not take it closes it.
    Fd unwatch(Watcher& watcher) {
        insist_on_my_thread("unwatch");
        Entry last = std::exchange(entry_of(watcher.number()), {});
        poller_->forget(watcher.number(), last.interest);
        graveyard_.lay_out(std::move(last.watcher));
        return watcher.release();
    }

    Moment now() const override { return std::chrono::steady_clock::now(); }

    Timer call_later(Delay delay, std::function<void()> what) override {
        insist_on_my_thread("call_later");
        return Clock::call_later(delay, std::move(what));
    }

    // From any thread: the loop makes this call, soon, in its own thread. It must not throw.
    void post(std::function<void()> what) { post_box_->put(std::move(what)); }

    void insist_on_my_thread(const char* call) const {
        if (std::this_thread::get_id() == my_thread_) return;
        throw std::logic_error(std::string(call) +
                               "() in a thread that is not the loop's: post() it to the loop");
    }

    // Waits and calls, until somebody says stop().
    void run() {
        insist_on_my_thread("run");
        try {
            graveyard_.bury(); // who ended before
            while (!stopped_)
                turn();
        } catch (...) {
            end_everybody();
            throw;
        }
        end_everybody();
    }

    // Asks everybody to finish. Stops when they have, or when the time is over.
    void wind_up(Delay time) {
        call_later(time, [this] { stop(); });
        winding_up_ = true;
        // Meanwhile the table may grow. NOLINTNEXTLINE(modernize-loop-convert)
        for (std::size_t i = 0; i < table_.size(); ++i)
            if (table_[i].watcher) table_[i].watcher->wind_up();
    }
    void stop() {
        insist_on_my_thread("stop");
        stopped_ = true;
    }

private:
    struct Entry {
        std::unique_ptr<Watcher> watcher;
        Interest interest;
    };

    // Also after an error: connection_lost() comes while all is still there that it may need.
    void end_everybody() {
        for (const Entry& entry : table_)
            if (keeps_waiting(entry)) unwatch(*entry.watcher);
        graveyard_.bury();
    }

    static bool keeps_waiting(const Entry& entry) {
        return entry.watcher && entry.watcher->keeps_waiting();
    }

    Entry& entry_of(int number) { return table_.at(static_cast<std::size_t>(number)); }

    // One round. We look up the watcher anew for each call: the call before may have ended it, and
    // even given its number to another. For that one the news is wrong, and no harm: a hint.
    void turn() {
        for (const auto& [number, ready] : poller_->wait(time_left())) {
            if (!entry_of(number).watcher) poller_->disown(number);
            if (ready.reading && entry_of(number).interest.reading)
                entry_of(number).watcher->readable();
            if (ready.writing && entry_of(number).interest.writing)
                entry_of(number).watcher->writable();
        }
        make_calls();
        graveyard_.bury();
        if (winding_up_ && std::ranges::none_of(table_, keeps_waiting)) stop();
    }

    const std::unique_ptr<Poller> poller_;
    std::vector<Entry> table_; // The kernel gives out small numbers: they are places in a table.
    Graveyard graveyard_;
    bool winding_up_ = false;
    bool stopped_ = false;
    PostBox* post_box_ = nullptr;
    const std::thread::id my_thread_ = std::this_thread::get_id();
};
