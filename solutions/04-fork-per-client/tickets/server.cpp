// Exercise 04/tickets, solved: an atomic number in shared memory.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

// Gives out the numbers 1, 2, 3 and so on, each of them once. The last one lies in memory that fork()
// does not copy: made by the parent before the first child, it is the same for all of them.
class Tickets {
public:
    Tickets() {
        void* memory = ::mmap(nullptr, sizeof(Number), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) check(-1, "mmap");
        last_ = new (memory) Number(0);
    }
    Tickets(const Tickets&) = delete;
    Tickets& operator=(const Tickets&) = delete;
    ~Tickets() { ::munmap(last_, sizeof(Number)); }

    int next() { return ++*last_; }

private:
    // With a lock inside it would be one lock for each process.
    using Number = std::atomic<int>;
    static_assert(Number::is_always_lock_free);
    Number* last_;
};

// Sends all of it.
void say(const Fd& caller, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// A number for each line. And some callers break what they touch: `!` is the end of this process.
void serve(const Fd& caller, Tickets& tickets) {
    std::array<char, 65536> bytes{};
    while (const ssize_t count = insist(
               "recv", [&] { return ::recv(caller.number(), bytes.data(), bytes.size(), 0); })) {
        std::string numbers;
        for (const char byte : std::string_view(bytes.data(), static_cast<size_t>(count))) {
            if (byte == '!') std::abort();
            if (byte == '\n') numbers += std::to_string(tickets.next()) + '\n';
        }
        say(caller, numbers);
    }
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGCHLD, SIG_IGN); // Nobody asks how the children end: the kernel reaps them.
    Fd listener = listen_on("127.0.0.1", 0);
    Tickets tickets;
    while (true) {
        const Fd caller(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        if (check(::fork(), "fork") != 0) continue;
        listener = Fd(); // From here on we are the child.
        try {
            serve(caller, tickets);
        } catch (const std::exception& error) {
            log_line("lost a caller: ", error.what());
        }
        ::_exit(EXIT_SUCCESS);
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
