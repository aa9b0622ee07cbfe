#include "launch.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace {

struct Pipe {
    OwnedFd read_end;
    OwnedFd write_end;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

// The lists that execve wants: pointers to text, then a null pointer.
std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> list;
    list.reserve(texts.size() + 1);
    for (std::string& text : texts)
        list.push_back(text.data());
    list.push_back(nullptr);
    return list;
}

// Whether one of these has the name of this setting, NAME=value.
bool is_set(const std::vector<std::string>& environment, const std::string& setting) {
    const std::string name = setting.substr(0, setting.find('=') + 1);
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& other) { return other.starts_with(name); });
}

// The test has threads, so between fork and exec the child may call only what is safe in a signal
// handler: it allocates nothing and takes no lock. All it needs stands ready before the fork.
struct Child {
    const Launch& launch;
    char* const* command;
    char* const* environment;
    pid_t tester;
    bool die_with_tester;
    int out;
    int err;
    int trouble;

    [[noreturn]] void give_up(const char* step) const {
        const struct {
            int error;
            const char* step; // the parent has the same text at the same address
        } message{errno, step};
        [[maybe_unused]] const ssize_t told = ::write(trouble, &message, sizeof message);
        ::_exit(127);
    }

    // The tester ignores SIGPIPE, and what is ignored stays ignored after exec: a server would be
    // spared the very signal that a lesson is about.
    static void forget_signals() {
        for (int number = 1; number < NSIG; ++number)
            std::signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
    }

    void arrange_descriptors() const {
        const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (nothing < 0) give_up("open /dev/null");
        if (::dup2(nothing, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) give_up("dup2");
        for (const int fd : launch.closed)
            ::close(fd);
        // Whatever the tester itself was started with ends here, too.
        if (::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) < 0)
            give_up("close_range");
    }

    [[noreturn]] void run() const {
        ::setsid();
        if (die_with_tester) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != tester) ::_exit(127);
        }
        forget_signals();
        arrange_descriptors();
        for (const auto& [resource, soft] : launch.limits) {
            rlimit limit{};
            ::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
            limit.rlim_cur = soft;
            if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) < 0)
                give_up("setrlimit");
        }
        if (!launch.folder.empty() && ::chdir(launch.folder.c_str()) < 0) give_up("chdir");
        ::execvpe(command[0], command, environment);
        give_up("exec");
    }
};

void throw_trouble(int fd, pid_t pid, const std::string& program) {
    struct {
        int error;
        const char* step;
    } message{};
    if (::read(fd, &message, sizeof message) != sizeof message) return; // exec closed the pipe
    ::waitpid(pid, nullptr, 0);
    throw std::system_error(message.error, std::generic_category(),
                            "cannot start " + program + ": " + message.step);
}

} // namespace

Launched launch(const Launch& launch) {
    std::vector<std::string> words = launch.command;
    std::vector<std::string> settings = launch.environment;
    for (char** setting = environ; *setting != nullptr; ++setting)
        if (!is_set(launch.environment, *setting)) settings.emplace_back(*setting);
    const std::vector<char*> command = pointers(words);
    const std::vector<char*> environment = pointers(settings);
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    Pipe trouble = make_pipe();
    const bool on_main_thread = ::gettid() == ::getpid();
    const Child child{
        launch,         command.data(),      environment.data(),  ::getpid(),
        on_main_thread, out.write_end.get(), err.write_end.get(), trouble.write_end.get()};

    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) child.run();

    trouble.write_end.close();
    throw_trouble(trouble.read_end.get(), pid, launch.command.front());
    ::fcntl(out.read_end.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(err.read_end.get(), F_SETFL, O_NONBLOCK);
    return {pid, std::move(out.read_end), std::move(err.read_end)};
}
