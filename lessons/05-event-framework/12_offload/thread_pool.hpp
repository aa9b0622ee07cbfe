// A few threads for what the loop must not do itself: wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

// The crew of lesson 03, step 17. But there the callers were the work, and those who said nothing
// kept a thread. Here a thread has something to do, and then the next.
class ThreadPool {
public:
    // Called once: by one of the threads, to do it; or when the pool ends and it has not begun.
    // Then it is told so, and must do no more than tell those who wait for it. It must not throw.
    using Work = std::function<void(bool ended)>;

    // Both numbers are bounds: so many threads, and so much work that waits for one. Where there is no
    // room for a thread it throws, and ~ThreadPool() ends those that there are.
    ThreadPool(std::size_t threads, std::size_t most_waiting) : ThreadPool(most_waiting) {
        for (std::size_t i = 0; i < threads; ++i)
            threads_.emplace_back([this] { run(); });
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // Work that has begun is waited for. What waits never begins: from here on no thread finds any.
    ~ThreadPool() {
        std::deque<Work> never;
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            never.swap(waiting_);
        }
        news_.notify_all();
        for (const auto& work : never)
            work(true);
    }

    // One of the threads does this, soon. False: too much waits already, or the pool ends.
    bool add(Work work) {
        {
            const std::lock_guard lock(mutex_);
            if (ended_ || waiting_.size() >= most_waiting_) return false;
            waiting_.push_back(std::move(work));
        }
        news_.notify_one();
        return true;
    }

private:
    explicit ThreadPool(std::size_t most_waiting) : most_waiting_(most_waiting) {}

    void run() {
        while (const auto work = next())
            work(false);
    }

    // Sleeps until there is work. None: it is the end.
    Work next() {
        std::unique_lock lock(mutex_);
        news_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
        if (ended_) return nullptr;
        auto work = std::move(waiting_.front());
        waiting_.pop_front();
        return work;
    }

    const std::size_t most_waiting_;
    std::mutex mutex_; // guards waiting_ and ended_
    std::condition_variable news_;
    std::deque<Work> waiting_;
    bool ended_ = false;
    std::vector<std::jthread> threads_; // The last member is destroyed first: all are joined then.
};
