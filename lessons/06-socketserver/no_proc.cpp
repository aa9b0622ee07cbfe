// A machine without /proc, as in a container or a chroot: loaded before the C library (LD_PRELOAD),
// it finds nothing below /proc. The file server of step 12 lists a folder through it.

// With it the headers would give openat() another name than the C++ library's call has.
#undef _FILE_OFFSET_BITS

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>

#include <cerrno>
#include <string_view>

namespace {

bool is_hidden(const char* path) {
    if (!std::string_view(path).starts_with("/proc/")) return false;
    errno = ENOENT;
    return true;
}

} // namespace

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): in the C library they have none.
extern "C" DIR* opendir(const char* path) {
    using Opendir = DIR* (*)(const char*);
    static const auto the_true_one = reinterpret_cast<Opendir>(dlsym(RTLD_NEXT, "opendir"));
    return is_hidden(path) ? nullptr : the_true_one(path);
}

// All that the C++ library opens here are folders, so there is never a mode behind the flags.
extern "C" int openat(int folder, const char* path, int flags, ...) {
    using Openat = int (*)(int, const char*, int, ...);
    static const auto the_true_one = reinterpret_cast<Openat>(dlsym(RTLD_NEXT, "openat"));
    return is_hidden(path) ? -1 : the_true_one(folder, path, flags);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
