// A signal, as a descriptor.
#pragma once

#include "check.hpp"
#include "watcher.hpp"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <initializer_list>
#include <utility>

// The kernel puts the signals into a descriptor, and nobody is interrupted by them any more: no
// handler, no flag, no bell. They must be blocked for that, in every thread: so it is made before
// other threads are, which inherit it.
class SignalWatcher final : public Watcher {
public:
    // `what` is called in the loop's thread, with the number of the signal.
    SignalWatcher(std::initializer_list<int> numbers, std::function<void(int)> what)
        : Watcher(block(numbers)), what_(std::move(what)) {}

    void readable() override {
        signalfd_siginfo news{};
        if (::read(number(), &news, sizeof news) == sizeof news)
            what_(static_cast<int>(news.ssi_signo));
    }

private:
    static Fd block(std::initializer_list<int> numbers) {
        sigset_t set;
        sigemptyset(&set);
        for (const int number : numbers)
            sigaddset(&set, number);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        return Fd(check(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
    }

    const std::function<void(int)> what_;
};
