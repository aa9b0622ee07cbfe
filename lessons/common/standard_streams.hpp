// Given: the descriptors 0, 1 and 2 are never a socket.
#pragma once

#include "check.hpp"

#include <fcntl.h>
#include <unistd.h>

// A program may be started with its standard input, output or error closed. Then the next socket
// would get the number 1 or 2, and the log would go to a caller. We fill the gaps with /dev/null.
inline void fill_standard_streams() {
    int number = 0;
    do
        number = check(::open("/dev/null", O_RDWR), "open /dev/null");
    while (number <= STDERR_FILENO);
    ::close(number);
}
