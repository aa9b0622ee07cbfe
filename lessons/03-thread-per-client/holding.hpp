// For tests: a server in which a thread is held at a schedule point (schedule_point.hpp).
#pragma once

#include "step.hpp"

#include <csignal>
#include <string>
#include <thread>

// The log says it, sooner or later.
inline void expect_log(Server& server, const std::string& words) {
    const Deadline deadline = scaled(usual);
    while (server.log().find(words) == std::string::npos) {
        if (deadline.passed() || !server.alive())
            server.fail(Outcome::timeout_none, "the log was to say \"" + words + '"');
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

// The first thread that comes to this point stays there until let_go().
inline Server holding(const std::string& program, const std::string& point) {
    return Server({program}, {.environment = {"HOLD=" + point}});
}

inline void expect_held(Server& server) {
    expect_log(server, "a thread is held");
}

inline void let_go(Server& server) {
    server.signal(SIGUSR1);
}
