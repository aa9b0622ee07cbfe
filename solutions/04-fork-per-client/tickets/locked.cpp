// Exercise 04/tickets, solved in another way: a lock that lies beside what it guards.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

// Gives out the numbers 1, 2, 3 and so on, each of them once. The row and its lock lie in memory that
// fork() does not copy.
class Tickets {
public:
    using Lock = std::lock_guard<Tickets>;

    Tickets() {
        void* memory =
            ::mmap(nullptr, sizeof(Row), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) check(-1, "mmap");
        row_ = new (memory) Row{};

        // A lock between processes, which the kernel opens when its owner dies.
        pthread_mutexattr_t attributes;
        ::pthread_mutexattr_init(&attributes);
        ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        ::pthread_mutex_init(&row_->mutex, &attributes);
        ::pthread_mutexattr_destroy(&attributes);
    }
    Tickets(const Tickets&) = delete;
    Tickets& operator=(const Tickets&) = delete;
    ~Tickets() { ::munmap(row_, sizeof(Row)); }

    void lock() {
        if (::pthread_mutex_lock(&row_->mutex) == EOWNERDEAD)
            ::pthread_mutex_consistent(&row_->mutex); // It died between two numbers, or in one.
    }
    void unlock() { ::pthread_mutex_unlock(&row_->mutex); }

    // The number after the last one.
    int next() {
        const Lock lock(*this);
        return ++row_->last;
    }

private:
    struct Row {
        pthread_mutex_t mutex;
        int last;
    };
    Row* row_;
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
