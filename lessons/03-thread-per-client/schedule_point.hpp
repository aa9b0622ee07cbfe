// Given: a place in a program at which you can hold a thread, so that the one unlucky order of
// events in a million happens every time.
//
//     HOLD="count is read" ./lab run 03/5
//
// The first thread that comes to the point of this name stays there until `kill -USR1 PID`. All
// others pass. Without HOLD in its environment a program passes all its points.
#pragma once

#include "check.hpp"
#include "log.hpp"

#include <semaphore.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

inline sem_t held_thread_goes_on; // sem_post() is one of the few calls that a handler may make.

extern "C" inline void let_go(int /*number*/) {
    sem_post(&held_thread_goes_on);
}

inline void schedule_point(std::string_view name) {
    static const char* const hold = std::getenv("HOLD");
    static std::atomic<bool> has_held = false;
    if (hold == nullptr || name != hold || has_held.exchange(true)) return;

    sem_init(&held_thread_goes_on, 0, 0);
    struct sigaction action {};
    action.sa_handler = let_go;
    check(::sigaction(SIGUSR1, &action, nullptr), "sigaction");
    log_line("a thread is held at \"", name, "\" until SIGUSR1");
    while (sem_wait(&held_thread_goes_on) == -1 && errno == EINTR) {
    }
}
