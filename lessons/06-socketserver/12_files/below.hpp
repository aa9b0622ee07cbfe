// Opens what a path below the root names, and nothing else.
#pragma once

#include "fd.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

// The path of a stranger. To look for ".." in it is not enough: a symbolic link leads out as well,
// and it may be put there between our look and our open(). So the kernel looks, while it walks:
// RESOLVE_BENEATH refuses each step that would leave the root, with EXDEV. It refuses links that
// begin with a slash too, wherever they lead. RESOLVE_NO_MAGICLINKS: nor through /proc/PID/fd.
//
// Returns an Fd of -1 with the reason in errno where it cannot be opened.
inline Fd open_below(const Fd& root, const std::string& path) {
    open_how how{};
    // To open a FIFO would sleep until somebody writes. With O_NONBLOCK it does not, and a file
    // does not care.
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();

    // EAGAIN: somebody renamed a folder while the kernel was on its way through a "..". It may go
    // well the next time; but who does it all the time must not keep us here.
    for (int tries = 0; tries < 10; ++tries) {
        // glibc has no function of this name, so we say the number.
        const auto file = ::syscall(SYS_openat2, root.number(), name, &how, sizeof how);
        if (file != -1 || (errno != EAGAIN && errno != EINTR)) return Fd(static_cast<int>(file));
    }
    return {};
}
