// Makes any machine one whose forks are slow, such as a virtual machine in a virtual machine: each
// fork takes 15 ms more, and 14 ms on top of that in Python, which copies more tables. Every test
// has to pass on it, since its verdict is about the program:
//
//   ninja -C build lessons/testkit/slow_fork.so
//   # the loader takes a space for the end of a name: try it in a folder without one
//   LD_PRELOAD=$PWD/build/lessons/testkit/slow_fork.so ./lab test
#include <dlfcn.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace {

constexpr long millisecond = 1'000'000; // in nanoseconds

void be_slow() {
    const bool python = std::strncmp(program_invocation_short_name, "python", 6) == 0;
    timespec left{0, (python ? 29 : 15) * millisecond};
    while (::nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

// What the next library has under this name: the C library's own.
template <typename Function>
Function* real(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

pid_t fork() noexcept {
    be_slow();
    return real<pid_t()>("fork")();
}

// A function that calls the real one would return before its child has used its frame.
pid_t vfork() noexcept {
    return fork();
}

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const* argv, char* const* environment) {
    be_slow();
    return real<decltype(posix_spawn)>("posix_spawn")(pid, path, actions, attributes, argv,
                                                      environment);
}

int posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const* argv, char* const* environment) {
    be_slow();
    return real<decltype(posix_spawnp)>("posix_spawnp")(pid, file, actions, attributes, argv,
                                                        environment);
}
}
