// A server with one fault, chosen by its argument: the testkit must name each of them.
//
// Without its fault it answers each line with the same line, in a thread for each caller.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

namespace {

std::string fault;

bool has(const char* name) {
    return fault == name;
}

[[noreturn]] void rest_for_ever() {
    while (true)
        ::pause();
}

void say(int caller, const std::string& text) {
    std::size_t sent = 0;
    while (sent < text.size()) {
        const ssize_t count = ::send(caller, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (count < 0) return;
        sent += static_cast<std::size_t>(count);
    }
}

// A child that holds none of the callers who come and go meanwhile.
[[noreturn]] void rest_alone() {
    ::syscall(SYS_close_range, 3U, ~0U, 0U);
    rest_for_ever();
}

void leave_something_behind() {
    if (has("leaks a descriptor")) ::open("/dev/null", O_RDONLY);
    if (has("leaks a thread")) std::thread(rest_for_ever).detach();
    if (has("leaves a child") && ::fork() == 0) rest_alone();
    if (has("leaves a zombie") && ::fork() == 0) ::_exit(0);
    if (has("leaves a daemon")) {
        const pid_t between = ::fork();
        if (between == 0) {
            ::setsid();
            if (::fork() == 0) rest_alone();
            ::_exit(0);
        }
        ::waitpid(between, nullptr, 0);
    }
}

void report_something() {
    if (has("races"))
        std::cerr << "==================\nWARNING: ThreadSanitizer: data race (pid=1)\n";
    if (has("spoils the heap"))
        std::cerr << "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n";
    if (has("leaks memory")) std::cerr << "==1==ERROR: LeakSanitizer: detected memory leaks\n";
    if (has("overflows")) std::cerr << "a.cpp:1:2: runtime error: signed integer overflow\n";
    if (has("floods its log"))
        for (int i = 0; i < 20'000; ++i)
            std::cerr << "line " << i
                      << " of twenty thousand, more than a pipe holds, to standard error\n";
}

// What the process was started with, for a test of the testkit's options.
void describe(int caller) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const char* const color = std::getenv("COLOR");
    std::string open;
    for (int fd = 0; fd < 3; ++fd)
        open += ::fcntl(fd, F_GETFD) < 0 ? '-' : '+';
    say(caller, std::filesystem::current_path().string() + ' ' + std::to_string(limit.rlim_cur) +
                    ' ' + (color != nullptr ? color : "none") + ' ' + open + '\n');
}

void answer(int caller, const std::string& line) {
    if (line == "describe\n") return describe(caller);
    static std::mutex mutex;
    report_something();
    if (has("deadlocks")) mutex.lock();
    if (has("deadlocks")) mutex.lock();
    if (has("sleeps")) std::this_thread::sleep_for(std::chrono::hours(1));
    if (has("answers half")) return say(caller, line.substr(0, line.size() / 2));
    if (has("dies midway") || has("exits midway")) {
        say(caller, line.substr(0, line.size() / 2));
        if (has("exits midway")) ::_exit(4);
        ::raise(SIGSEGV);
    }
    if (has("swaps a byte")) return say(caller, "Z" + line.substr(1));
    if (has("says too much")) return say(caller, line + "and more\n");
    if (has("never stops talking"))
        while (true)
            say(caller, line);
    if (has("writes much")) return say(caller, std::string(8'000'000, 'x'));
    say(caller, line);
}

void serve(int caller) {
    std::array<char, 4096> buffer{};
    std::string text;
    if (has("does not watch the caller")) rest_for_ever();
    while (true) {
        const ssize_t count = ::recv(caller, buffer.data(), buffer.size(), 0);
        if (count == 0 && has("spins")) continue;
        if (count <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (has("ends early")) break;
        std::size_t end = 0;
        while (!has("reads to the end") && (end = text.find('\n')) != std::string::npos) {
            answer(caller, text.substr(0, end + 1));
            text.erase(0, end + 1);
        }
    }
    if (has("resets")) {
        const linger at_once{1, 0};
        ::setsockopt(caller, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    leave_something_behind();
    if (!has("never closes")) ::close(caller);
}

int listen_somewhere() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) < 0 ||
        ::listen(listener, SOMAXCONN) < 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) < 0)
        std::abort();
    if (has("says something else"))
        std::cout << "hello, world" << std::endl;
    else if (!has("says nothing"))
        std::cout << "listening on 127.0.0.1:" << ntohs(address.sin_port) << std::endl;
    return listener;
}

void end_badly() {
    ::_exit(has("exits badly") ? 3 : 0);
}

void arrange_end() {
    if (has("dies of SIGTERM")) return;
    std::signal(
        SIGTERM, has("ignores SIGTERM") ? SIG_IGN : [](int) { end_badly(); });
}

void fail_at_once() {
    if (has("exits at once")) {
        std::cerr << "cannot start: the moon is full\n";
        ::_exit(3);
    }
    if (has("finds the port taken")) {
        std::cerr << "bind 127.0.0.1:4711: Address already in use\n";
        ::_exit(1);
    }
    if (has("dies at once")) ::raise(SIGSEGV);
    if (has("never listens")) rest_for_ever();
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1) fault = argv[1];
    arrange_end();
    fail_at_once();
    const int listener = listen_somewhere();
    while (true) {
        const int caller = ::accept(listener, nullptr, nullptr);
        if (caller < 0) return 1;
        if (has("one at a time"))
            serve(caller);
        else
            std::thread(serve, caller).detach();
        if (has("watches callers only")) {
            pollfd only{caller, 0, 0};
            while (::poll(&only, 1, -1) >= 0) {
            }
        }
        if (has("watches the listener only")) {
            pollfd only{listener, POLLIN, 0};
            ::poll(&only, 1, -1);
        }
    }
}
