// Earned in lesson 01, step 6: a call that goes on after a signal.
#pragma once

#include "check.hpp"

// Makes a system call, and makes it again for as long as a signal wakes it before it has done
// anything (EINTR). Where it fails for another reason, throws std::system_error.
auto insist(const char* name, auto call) {
    while (true) {
        const auto result = call();
        if (result != -1 || errno != EINTR) return check(result, name);
    }
}
