// Keeps a processor awake while servers are measured.
//
// Between two messages everybody sleeps, and a processor with nothing to do stops. To start it again
// takes a few microseconds on a desk, and 50 to 150 in a virtual machine, where the host is asked for it.
// Servers that sleep would pay for that, each time something else. So there is always something to do:
// a thread that spins, and makes way for anybody else at once (SCHED_IDLE, see sched(7)).
#pragma once

#include <sched.h>

#include <cstddef>
#include <thread>

inline std::jthread keep_awake(int core) {
    return std::jthread([core](const std::stop_token& end) {
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(static_cast<std::size_t>(core), &here);
        const sched_param no_priority{};
        if (::sched_setaffinity(0, sizeof here, &here) == -1 ||
            ::sched_setscheduler(0, SCHED_IDLE, &no_priority) == -1)
            return; // Better a processor that sleeps than a thread that is in the way.
        while (!end.stop_requested()) {
#ifdef __x86_64__
            __builtin_ia32_pause(); // Leaves the other half of a shared core alone.
#endif
        }
    });
}
