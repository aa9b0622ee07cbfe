// A server that says every line again, and has one bad habit: the one that it is named after. Its
// tests start it by that name.
#include "fd.hpp"
#include "listen_on.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <new>
#include <vector>

namespace {

// Each habit has an end of its own, should nobody stop it.
[[noreturn]] void stay() {
    ::alarm(60);
    while (true)
        ::pause();
}

void fork_without_end(bool in_own_sessions) {
    ::alarm(60);
    // All of them together stop at 1,000: should the test fail, the machine is to live on.
    void* const memory = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* const count = new (memory) std::atomic<int>(0);
    while (++*count < 1000)
        if (::fork() == 0 && in_own_sessions) ::setsid();
    stay();
}

// A process whose parent is gone, in a session of its own, that nobody asked for.
void leave_a_daemon() {
    if (::fork() != 0) return;
    if (::fork() != 0) ::_exit(0);
    ::setsid();
    clearenv();
    for (int fd = 0; fd < 100; ++fd)
        ::close(fd);
    stay();
}

void eat_memory() {
    std::vector<std::vector<char>> eaten;
    for (int i = 0; i < 4000; ++i)
        eaten.emplace_back(1 << 20, 'x');
    stay();
}

void fill(const char* name, int megabytes) {
    const std::vector<char> megabyte(1 << 20, 'x');
    const Fd file(check(::open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600), "open"));
    for (int i = 0; i < megabytes; ++i)
        check(::write(file.number(), megabyte.data(), megabyte.size()), "write");
}

void fill_many_files() {
    for (int i = 0; i < 500; ++i)
        fill(std::to_string(i).c_str(), 4);
    stay();
}

void print_without_end() {
    const std::vector<char> megabyte(1 << 20, 'x');
    for (int i = 0; i < 200; ++i)
        check(::write(STDERR_FILENO, megabyte.data(), megabyte.size()), "write");
}

void spin() {
    ::alarm(60);
    for (std::atomic<unsigned> i = 0;; ++i) {
    }
}

// What it does once somebody has said something.
const std::map<std::string, std::function<void()>> habits = {
    {"polite", [] {}},
    {"hangs", stay},
    {"spins", spin},
    {"ignores_sigterm", [] {}},
    {"forks_without_end", [] { fork_without_end(false); }},
    {"forks_in_sessions", [] { fork_without_end(true); }},
    {"leaves_a_daemon", leave_a_daemon},
    {"eats_memory", eat_memory},
    {"asks_for_memory", [] { std::vector<char>(std::size_t{6} << 30); }},
    {"fills_one_file", [] { fill("file", 500); }},
    {"fills_many_files", fill_many_files},
    {"prints_without_end", print_without_end},
    {"dies", [] { ::raise(SIGSEGV); }},
    {"kills_its_judge", [] { ::kill(::getppid(), SIGKILL); }},
};

} // namespace

int main(int /*argc*/, char** argv) try {
    const std::string name = std::filesystem::path(argv[0]).filename();
    if (name == "never_listens") stay();
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    if (name == "ignores_sigterm") check(::sigaction(SIGTERM, &action, nullptr), "sigaction");
    action.sa_handler = [](int) { ::_exit(0); };
    if (name != "ignores_sigterm") check(::sigaction(SIGTERM, &action, nullptr), "sigaction");

    const Fd listener = listen_on("127.0.0.1", 0);
    if (name == "goes_into_the_background" && ::daemon(1, 1) == 0) stay();
    while (true) {
        const Fd caller(
            check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
        std::array<char, 100> bytes{};
        const auto count = ::recv(caller.number(), bytes.data(), bytes.size(), 0);
        if (count <= 0) continue;
        habits.at(name)();
        ::send(caller.number(), bytes.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
