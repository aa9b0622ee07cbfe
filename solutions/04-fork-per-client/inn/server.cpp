// Exercise 04/inn, solved: signals get in only while the innkeeper sleeps, and the loop does the work.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <vector>

// Who is in the house. When the book is closed, at the end of main(), all have to leave. A child has a
// copy of it, and must not close that: _exit() runs no destructor.
class Book {
public:
    Book() = default;
    Book(const Book&) = delete;
    Book& operator=(const Book&) = delete;
    ~Book() {
        for (const pid_t guest : guests_)
            ::kill(guest, SIGTERM);
        while (::wait(nullptr) > 0) {
        }
    }
    void enter(pid_t guest) { guests_.push_back(guest); }

    // Strikes out all who have left. A signal says that there is one; only the kernel knows how many.
    void clear() {
        while (true) {
            const pid_t child = ::waitpid(-1, nullptr, WNOHANG);
            if (child <= 0) return; // 0: the others live. -1: there are no others.
            std::erase(guests_, child);
        }
    }

private:
    std::vector<pid_t> guests_;
};

// Does nothing. But a signal that has a handler wakes the call in which we sleep.
extern "C" void wake(int /*number*/) {}

std::atomic<bool> closing = false;
extern "C" void close_the_house(int /*number*/) {
    closing = true;
}

void on_signal(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    check(::sigaction(number, &action, nullptr), "sigaction");
}

void block(std::initializer_list<int> signals, int how) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : signals)
        sigaddset(&set, number);
    check(::sigprocmask(how, &set, nullptr), "sigprocmask");
}

// Until somebody is at the door, or a signal comes. Only in here signals get in.
void wait_for_news(const Fd& listener) {
    pollfd door{.fd = listener.number(), .events = POLLIN, .revents = 0};
    sigset_t open;
    sigemptyset(&open);
    const int count = ::ppoll(&door, 1, nullptr, &open);
    if (count == -1 && errno != EINTR) check(count, "ppoll");
}

// Nobody, where a signal has woken us, or where they have left again.
std::optional<Fd> answer_the_door(const Fd& listener) {
    const int guest = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (guest == -1 && (errno == EAGAIN || errno == ECONNABORTED)) return std::nullopt;
    return Fd(check(guest, "accept"));
}

// Says again what the guest says.
void serve(const Fd& guest) {
    std::array<char, 4096> bytes{};
    ssize_t count = 0;
    while ((count = ::recv(guest.number(), bytes.data(), bytes.size(), 0)) > 0)
        ::send(guest.number(), bytes.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
}

int main() try {
    Book book;
    block({SIGTERM, SIGCHLD}, SIG_BLOCK);
    on_signal(SIGTERM, close_the_house);
    on_signal(SIGCHLD, wake);
    Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    while (!closing) {
        wait_for_news(listener);
        book.clear();
        const auto guest = answer_the_door(listener);
        if (!guest) continue;
        const pid_t child = check(::fork(), "fork");
        if (child == 0) {
            listener = Fd();
            on_signal(SIGTERM, SIG_DFL);
            block({}, SIG_SETMASK);
            serve(*guest);
            ::_exit(EXIT_SUCCESS);
        }
        book.enter(child);
    } // Here the parent closes its copy of the guest.
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
