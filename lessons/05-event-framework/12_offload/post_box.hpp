// Calls that other threads have asked for.
#pragma once

#include "check.hpp"
#include "watcher.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

// A list with a lock, and a bell: an eventfd is readable while the number in it is not 0. It is the
// self-pipe of lesson 02, with one descriptor in place of two.
class PostBox final : public Watcher {
public:
    PostBox() : Watcher(Fd(check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"))) {}

    // From any thread. It rings for the first letter only: the loop takes all of them.
    void put(std::function<void()> call) {
        const std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
        if (calls_.size() > 1) return;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(number(), &one, sizeof one);
    }

    // In the loop's thread. The lock is for the list only: who is called may post again, and no other
    // thread waits for that call.
    void readable() override {
        std::uint64_t rung = 0; // read() sets the number back to 0.
        [[maybe_unused]] const auto count = ::read(number(), &rung, sizeof rung);
        std::vector<std::function<void()>> calls;
        {
            const std::lock_guard lock(mutex_);
            calls.swap(calls_);
        }
        for (const auto& call : calls)
            call();
    }

private:
    std::mutex mutex_; // guards calls_
    std::vector<std::function<void()>> calls_;
};
