// Earned in lesson 01, step 7: what an error of accept() means.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>

// A caller was gone before we picked up (accept(2) has the list), or a signal woke us. The next
// call may be fine.
inline bool passes(int error) {
    constexpr std::array passing{EINTR,        ECONNABORTED, EPERM,      ENETDOWN,
                                 EPROTO,       ENOPROTOOPT,  EHOSTDOWN,  ENONET,
                                 EHOSTUNREACH, EOPNOTSUPP,   ENETUNREACH};
    return std::ranges::find(passing, error) != passing.end();
}

// No descriptor or no memory is left. The caller stays in the queue: wait before the next call.
inline bool is_short_of_room(int error) {
    constexpr std::array shortages{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    return std::ranges::find(shortages, error) != shortages.end();
}
