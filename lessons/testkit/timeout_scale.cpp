#include "timeout_scale.hpp"

#include "launch.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <thread>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NETSTEPS_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NETSTEPS_SANITIZED
#endif

bool sanitized() {
#ifdef NETSTEPS_SANITIZED
    return true;
#else
    return false;
#endif
}

namespace {

// What is quick enough, on an idle machine of the usual kind.
constexpr Seconds usual_fork{0.001};
constexpr Seconds usual_wake_up{0.003}; // a sleep of one millisecond
constexpr Seconds usual_python{0.1};    // a start, and ten forks

constexpr double slowest = 20;

std::atomic<double> machine = 1;
std::atomic<bool> is_measured = true;

double build_scale() {
    return sanitized() ? 5 : 1;
}

void is_as_slow_as(double scale) {
    scale = std::min(scale, slowest);
    double known = machine;
    while (known < scale && !machine.compare_exchange_weak(known, scale)) {
    }
}

Seconds time_of(const auto& work) {
    const auto begin = Clock::now();
    work();
    return Clock::now() - begin;
}

// The median of five: one that something else held up says little.
Seconds usual_time_of(const auto& work) {
    std::array<Seconds, 5> times{};
    for (Seconds& time : times)
        time = time_of(work);
    std::sort(times.begin(), times.end());
    return times[2];
}

void wait_for_child(pid_t pid) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void fork_and_wait() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    if (pid > 0) wait_for_child(pid);
}

Seconds processor_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return Seconds(static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9);
}

// Others may want the processor as well: then this takes longer.
void take(Seconds of_a_processor) {
    for (const Seconds begin = processor_time(); processor_time() - begin < of_a_processor;) {
    }
}

} // namespace

void assume_usual_machine() {
    is_measured = false;
}

void measure_machine() {
    if (!is_measured) return;
    const Seconds fork = usual_time_of(fork_and_wait);
    const Seconds wake_up =
        usual_time_of([] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); });
    is_as_slow_as(std::max(fork / usual_fork / build_scale(), wake_up / usual_wake_up));
    constexpr Seconds work{0.002};
    is_as_slow_as(usual_time_of([&] { take(work); }) / work);
}

void measure_python(const std::string& interpreter) {
    const std::string forks = "import os\n"
                              "for _ in range(10):\n"
                              "    pid = os.fork()\n"
                              "    os.waitpid(pid, 0) if pid else os._exit(0)\n";
    const Seconds time = time_of([&] {
        const Launched python = launch({{interpreter, "-I", "-c", forks}, {}, {}, {}, {}});
        wait_for_child(python.pid);
    });
    is_as_slow_as(time / usual_python);
}

double timeout_scale() {
    static const double fixed = [] {
        measure_machine();
        const char* const wish = std::getenv("NETSTEPS_PATIENCE");
        const double number = wish != nullptr ? std::atof(wish) : 0;
        return build_scale() * (number > 0 ? number : 1);
    }();
    return fixed * machine;
}
