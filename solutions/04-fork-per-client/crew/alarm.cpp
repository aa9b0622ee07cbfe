// Exercise 04/crew, solved in another way: an alarm clock ticks while a place is free.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

constexpr int places = 3; // So many children, and so many callers at once.

// Says again what the caller says. But `.` is the end of a child's working life, and `!` of its life.
void serve(const Fd& caller) {
    std::array<char, 4096> bytes{};
    ssize_t count = 0;
    while ((count = ::recv(caller.number(), bytes.data(), bytes.size(), 0)) > 0) {
        const std::string_view words(bytes.data(), static_cast<size_t>(count));
        if (words.find('!') != std::string_view::npos) std::abort();
        if (words.find('.') != std::string_view::npos) ::_exit(EXIT_SUCCESS);
        ::send(caller.number(), words.data(), words.size(), MSG_NOSIGNAL);
    }
}

// A child's life. On a bad day it is over at once.
[[noreturn]] void work(const Fd& listener, bool bad_day) {
    log_line("a child is born");
    if (bad_day) std::abort();
    while (true) {
        const Fd caller(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC));
        if (caller.number() != -1) serve(caller);
    }
}

// These three are blocked, except while the parent sleeps. So their handlers have little to do, and
// nothing comes between two lines of the loop.
std::atomic<bool> stop_asked = false;
std::atomic<bool> alarm_rings = false;
extern "C" void note(int signal) {
    if (signal == SIGTERM) stop_asked = true;
    if (signal == SIGALRM) alarm_rings = true;
}

sigset_t blocked() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGCHLD, SIGALRM}) {
        sigaddset(&signals, number);
        struct sigaction action {};
        action.sa_handler = note;
        check(::sigaction(number, &action, nullptr), "sigaction");
    }
    check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
    return signals;
}

pid_t hire(const Fd& listener, const sigset_t& signals, bool bad_day) {
    const pid_t child = check(::fork(), "fork");
    if (child != 0) return child;
    std::signal(SIGTERM, SIG_DFL);
    ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    work(listener, bad_day);
}

// Rings every tenth of a second. A child does not inherit it.
void wind_the_clock() {
    constexpr timeval tenth{.tv_sec = 0, .tv_usec = 100'000};
    const itimerval clock{.it_interval = tenth, .it_value = tenth};
    check(::setitimer(ITIMER_REAL, &clock, nullptr), "setitimer");
}

int main(int argc, char** argv) try {
    const bool bad_day = argc > 1 && argv[1] == std::string_view("--bad-day");
    const sigset_t signals = blocked();
    const Fd listener = listen_on("127.0.0.1", 0);
    std::vector<pid_t> crew;
    while (crew.size() < places)
        crew.push_back(hire(listener, signals, bad_day));

    wind_the_clock();
    sigset_t open{};
    sigemptyset(&open);
    while (!stop_asked) {
        ::sigsuspend(&open);
        pid_t child = 0;
        while ((child = ::waitpid(-1, nullptr, WNOHANG)) > 0)
            std::erase(crew, child);
        // One child for each ring at most.
        if (alarm_rings.exchange(false) && crew.size() < places)
            crew.push_back(hire(listener, signals, bad_day));
    }

    for (const pid_t child : crew)
        ::kill(child, SIGTERM);
    while (::wait(nullptr) > 0) {
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
