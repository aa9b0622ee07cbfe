// Opens what a path below the root names, and nothing else.
#pragma once

#include "check.hpp"
#include "fd.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

inline struct stat status_of(const Fd& file) {
    struct stat info {};
    check(::fstat(file.number(), &info), "fstat");
    return info;
}

// The path is a stranger's. To look for ".." in it is not enough: a symbolic link leads out as well,
// and it may be put there between our look and our open(). So the kernel looks, while it walks:
// RESOLVE_BENEATH refuses each step that would leave the root, with EXDEV. It refuses links that
// begin with a slash too, wherever they lead. RESOLVE_NO_MAGICLINKS: nor through /proc/PID/fd.
inline Fd walk_below(const Fd& root, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();

    // EAGAIN: a folder was renamed while the kernel was on its way through a "..". The next try may
    // go well; but a program that renames all the time must not keep us here.
    for (int tries = 0; tries < 10; ++tries) {
        // glibc has no function of this name, so we say the number.
        const auto file = ::syscall(SYS_openat2, root.number(), name, &how, sizeof how);
        if (file != -1 || (errno != EAGAIN && errno != EINTR)) return Fd(static_cast<int>(file));
    }
    return {};
}

// Opens a file or a folder. Returns an Fd of -1 with the reason in errno where it cannot.
//
// To open does something. A program that waits to write into a FIFO wakes when we open it, and its
// pipe breaks when we close; a tape rewinds. So we look first: O_PATH walks to a file and does not
// open it. If the name leads to a FIFO in the moment after that, O_NONBLOCK keeps us from sleeping
// in open(), and fstat() tells what we have got.
inline Fd open_below(const Fd& root, const std::string& path) {
    const Fd seen = walk_below(root, path, O_PATH);
    if (seen.number() == -1) return {};
    const auto mode = status_of(seen).st_mode;
    if (S_ISREG(mode) || S_ISDIR(mode))
        return walk_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    errno = ENOENT;
    return {};
}
