// Who is ready? Asked with select().
#pragma once

#include "check.hpp"
#include "poller.hpp"

#include <sys/select.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <vector>

class SelectPoller final : public Poller {
public:
    SelectPoller() {
        ready_.reserve(FD_SETSIZE); // wait() is not to fail for want of memory.
        FD_ZERO(&reading_);
        FD_ZERO(&writing_);
    }

    void set(int number, Interest /*before*/, Interest now) override {
        if (number >= FD_SETSIZE) throw std::out_of_range("no room in a set for this descriptor");
        put(number, reading_, now.reading);
        put(number, writing_, now.writing);
        highest_ = std::max(highest_, number);
        while (highest_ >= 0 && !FD_ISSET(highest_, &reading_) && !FD_ISSET(highest_, &writing_))
            --highest_;
    }

    void forget(int number, Interest before) override { set(number, before, {}); }

    std::span<const Ready> wait(std::optional<std::chrono::microseconds> time) override {
        fd_set readable = reading_; // select() writes its answer into the question: keep a copy.
        fd_set writable = writing_;
        timeval left{};
        if (time) left = {time->count() / 1'000'000, time->count() % 1'000'000};
        const int count =
            ::select(highest_ + 1, &readable, &writable, nullptr, time ? &left : nullptr);
        ready_.clear();
        if (count == -1 && errno == EINTR) return {};
        check(count, "select");

        // Here is the price of select(): to find one who is ready we ask for all.
        for (int number = 0; count > 0 && number <= highest_; ++number) {
            const Interest what{FD_ISSET(number, &readable), FD_ISSET(number, &writable)};
            if (what != Interest{}) ready_.push_back({number, what});
        }
        return ready_;
    }

private:
    static void put(int number, fd_set& set, bool wanted) {
        if (wanted)
            FD_SET(number, &set);
        else
            FD_CLR(number, &set);
    }

    fd_set reading_;
    fd_set writing_;
    int highest_ = -1;
    std::vector<Ready> ready_;
};
