// Exercise 04/inn: an inn with a room, and a process, for each guest. README.md says what is wrong.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <vector>

// Who is in the house. When the book is closed, at the end of the program, all have to leave.
class Book {
public:
    ~Book() {
        const std::lock_guard lock(mutex);
        for (const pid_t guest : guests_)
            ::kill(guest, SIGTERM);
        while (::wait(nullptr) > 0) {
        }
    }
    void enter(pid_t guest) {
        const std::lock_guard lock(mutex);
        guests_.push_back(guest);
    }
    void leave(pid_t guest) {
        const std::lock_guard lock(mutex);
        std::erase(guests_, guest);
    }

    std::mutex mutex; // The handler below writes into the book, too.

private:
    std::vector<pid_t> guests_;
};
Book book;

std::atomic<bool> closing = false;
extern "C" void close_the_house(int /*number*/) {
    closing = true;
}

// A guest has left.
extern "C" void clear_the_room(int /*number*/) {
    book.leave(::wait(nullptr));
}

// Says again what the guest says.
void serve(int guest) {
    std::array<char, 4096> bytes{};
    ssize_t count = 0;
    while ((count = ::recv(guest, bytes.data(), bytes.size(), 0)) > 0)
        ::send(guest, bytes.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
}

// Waits for somebody at the door. Nobody may write into the book meanwhile.
int answer_the_door(const Fd& listener) {
    const std::lock_guard lock(book.mutex);
    const int guest = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    return guest == -1 && errno == EINTR ? -1 : check(guest, "accept");
}

void on_signal(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    check(::sigaction(number, &action, nullptr), "sigaction");
}

int main() try {
    on_signal(SIGTERM, close_the_house);
    on_signal(SIGCHLD, clear_the_room);
    const Fd listener = listen_on("127.0.0.1", 0);
    while (!closing) {
        const int guest = answer_the_door(listener);
        if (guest == -1) continue;
        const pid_t child = check(::fork(), "fork");
        if (child == 0) {
            on_signal(SIGTERM, SIG_DFL);
            serve(guest);
            std::exit(EXIT_SUCCESS);
        }
        book.enter(child);
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
