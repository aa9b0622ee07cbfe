// Given: the descriptors 0, 1 and 2 are never a socket, and a terminal never stops the log.
#pragma once

#include "check.hpp"

#include <fcntl.h>
#include <unistd.h>

// A terminal says POLLOUT as soon as it has room for one byte, so has_room() is not enough there: a
// window that is frozen, or a slow ssh, would stop us in the middle of a line. Opened once more, the
// terminal is an open file of our own, and O_NONBLOCK disturbs nobody else.
inline void open_terminal_anew() {
    if (isatty(STDERR_FILENO) == 0) return;
    const int own = ::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own == -1) return; // It may belong to another user: then the shell's has to do.
    ::dup2(own, STDERR_FILENO);
    ::close(own);
}

// A program may be started with its standard input, output or error closed. Then the next socket
// would get the number 1 or 2, and the log would go to a caller. We fill the gaps with /dev/null.
inline void fill_standard_streams() {
    int number = 0;
    do
        number = check(::open("/dev/null", O_RDWR), "open /dev/null");
    while (number <= STDERR_FILENO);
    ::close(number);
    open_terminal_anew();
}
