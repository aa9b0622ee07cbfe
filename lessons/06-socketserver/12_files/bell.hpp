// Something to ring, from anywhere.
#pragma once

#include "check.hpp"
#include "fd.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

// An eventfd holds a number, and is readable while that is not 0. So whoever sleeps in poll() can
// watch it beside their socket. Threads share it, and so do a parent and its children: fork()
// copies the descriptor, not the number.
class Bell {
public:
    int number() const { return eventfd_.number(); }

    // Also from a signal handler: write() is one of the calls that are allowed there. It rings
    // until somebody says hush().
    void ring() const noexcept {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(number(), &one, sizeof one);
    }

    void hush() const noexcept {
        std::uint64_t rung = 0;
        [[maybe_unused]] const auto count = ::read(number(), &rung, sizeof rung);
    }

private:
    Fd eventfd_{check(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")};
};
