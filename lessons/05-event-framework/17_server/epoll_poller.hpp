// Who is ready? Asked with epoll.
#pragma once

#include "check.hpp"
#include "fd.hpp"
#include "poller.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

// The list lives in the kernel, which notes who becomes ready as it happens. So a round costs as much
// as there is news, however many are silent. A change of the list costs a system call: so it is
// changed as seldom as can be, once for most callers.
class EpollPoller final : public Poller {
public:
    EpollPoller() { ready_.reserve(most); } // In the middle of work memory may be short.

    void set(int number, Interest before, Interest now) override {
        if (now == before) return;
        const int what = before == Interest{} ? EPOLL_CTL_ADD
                         : now == Interest{}  ? EPOLL_CTL_DEL
                                              : EPOLL_CTL_MOD;
        epoll_event event{};
        event.events = (now.reading ? EPOLLIN : 0U) | (now.writing ? EPOLLOUT : 0U);
        event.data.fd = number;
        int result = ::epoll_ctl(epoll_.number(), what, number, &event);
        if (result == -1 && errno == EEXIST) // It was forgotten, and then not closed but handed on.
            result = ::epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, number, &event);
        check(result, "epoll_ctl");
    }

    // With the last descriptor for it, the kernel itself takes a socket from the list (epoll(7)).
    void forget(int /*number*/, Interest /*before*/) override {}

    // And only with the last one. It may fail: the news may be older than the end.
    void disown(int number) override {
        ::epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, number, nullptr);
    }

    std::span<const Ready> wait(std::optional<std::chrono::microseconds> time) override {
        ready_.clear();
        const int count = ::epoll_wait(epoll_.number(), events_.data(),
                                       static_cast<int>(events_.size()), milliseconds(time));
        if (count == -1 && errno == EINTR) return {};
        check(count, "epoll_wait");
        for (const epoll_event& event : std::span(events_).first(static_cast<std::size_t>(count))) {
            // Gone is both: whoever reads or writes will find out.
            const bool gone = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
            const bool reading = (event.events & EPOLLIN) != 0 || gone;
            const bool writing = (event.events & EPOLLOUT) != 0 || gone;
            ready_.push_back({event.data.fd, {reading, writing}});
        }
        return ready_;
    }

private:
    static constexpr std::size_t most = 512; // Who does not fit in comes next time.
    const Fd epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
    std::array<epoll_event, most> events_{};
    std::vector<Ready> ready_;
};
