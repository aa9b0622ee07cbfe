// Who is ready? Asked with poll().
#pragma once

#include "check.hpp"
#include "poller.hpp"

#include <poll.h>

#include <cerrno>
#include <cstddef>
#include <vector>

// A list in place of a set of bits: no limit of 1,024. But the kernel still looks at all of it, each
// time, and then so do we.
class PollPoller final : public Poller {
public:
    void set(int number, Interest /*before*/, Interest now) override {
        const auto place = static_cast<std::size_t>(number);
        if (place >= ready_.capacity()) larger_.reserve(2 * place + 1);
        if (place >= list_.size()) list_.resize(place + 1, {.fd = -1, .events = 0, .revents = 0});
        list_[place].fd = now == Interest{} ? -1 : number; // The kernel passes over -1.
        const int events = (now.reading ? POLLIN : 0) | (now.writing ? POLLOUT : 0);
        list_[place].events = static_cast<short>(events);
        while (!list_.empty() && list_.back().fd == -1)
            list_.pop_back();
    }

    void forget(int number, Interest before) override { set(number, before, {}); }

    std::span<const Ready> wait(std::optional<std::chrono::microseconds> time) override {
        if (larger_.capacity() > ready_.capacity()) ready_.swap(larger_);
        ready_.clear();
        int count = ::poll(list_.data(), list_.size(), milliseconds(time));
        if (count == -1 && errno == EINTR) return {};
        check(count, "poll");
        for (auto asked = list_.begin(); count > 0; ++asked) {
            if (asked->revents == 0) continue;
            // Gone is both: whoever reads or writes will find out.
            const bool gone = (asked->revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
            const bool reading = (asked->revents & POLLIN) != 0 || gone;
            const bool writing = (asked->revents & POLLOUT) != 0 || gone;
            ready_.push_back({asked->fd, {reading, writing}});
            --count;
        }
        return ready_;
    }

private:
    std::vector<pollfd> list_; // The place is the descriptor's number.
    // wait() is not to fail for want of memory: room for its answer is made before, when somebody comes.
    // Not in ready_ itself, for the loop may be in the middle of that.
    std::vector<Ready> ready_;
    std::vector<Ready> larger_;
};
