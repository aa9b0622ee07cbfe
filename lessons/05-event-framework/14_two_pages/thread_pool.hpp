// A few threads for what the loop must not do itself: wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

// The crew of lesson 03, step 17. But there the callers were the work, and those who said nothing
// kept a thread. Here a thread has something to do, and then the next.
class ThreadPool {
public:
    // Both numbers are bounds: so many threads, and so much work that waits for one.
    ThreadPool(std::size_t threads, std::size_t most_waiting) : most_waiting_(most_waiting) {
        for (std::size_t i = 0; i < threads; ++i)
            threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // Work that has begun is waited for. What has not begun never does.
    ~ThreadPool() = default;

    // One of the threads does this, soon. It must not throw. False: too much waits already.
    bool add(std::function<void()> work) {
        {
            const std::lock_guard lock(mutex_);
            if (waiting_.size() >= most_waiting_) return false;
            waiting_.push_back(std::move(work));
        }
        news_.notify_one();
        return true;
    }

private:
    void run(const std::stop_token& stop) {
        while (const auto work = next(stop))
            work();
    }

    // Sleeps until there is work. None: it is the end.
    std::function<void()> next(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        news_.wait(lock, stop, [this] { return !waiting_.empty(); });
        if (stop.stop_requested()) return nullptr;
        auto work = std::move(waiting_.front());
        waiting_.pop_front();
        return work;
    }

    const std::size_t most_waiting_;
    std::mutex mutex_; // guards waiting_
    std::condition_variable_any news_;
    std::deque<std::function<void()>> waiting_;
    std::vector<std::jthread> threads_; // The last member is destroyed first: all are joined then.
};
