// A select() that lies. Loaded before the C library (LD_PRELOAD) it says of everybody that they are
// ready to be read, as soon as one is. The true one may be wrong, too (select(2), BUGS), but not each
// time: a test wants it each time.

#include <dlfcn.h>
#include <sys/select.h>

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): in the C library they have none.
extern "C" int select(int count, fd_set* readable, fd_set* writable, fd_set* except,
                      timeval* time) {
    using Select = int (*)(int, fd_set*, fd_set*, fd_set*, timeval*);
    static const auto the_true_one = reinterpret_cast<Select>(dlsym(RTLD_NEXT, "select"));
    const fd_set asked = readable != nullptr ? *readable : fd_set{};
    const int ready = the_true_one(count, readable, writable, except, time);
    if (ready > 0 && readable != nullptr) *readable = asked;
    return ready;
}
