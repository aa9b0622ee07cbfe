// Exercise 04/inn, solved in another way: signals come as bytes on a descriptor, and nobody has a
// handler.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <set>

// Says again what the guest says.
void serve(const Fd& guest) {
    std::array<char, 4096> bytes{};
    ssize_t count = 0;
    while ((count = ::recv(guest.number(), bytes.data(), bytes.size(), 0)) > 0)
        ::send(guest.number(), bytes.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
}

// The house: its door, its bell for signals, and its book. Its methods return, in the innkeeper's
// process. A child never comes back from let_in().
class Inn {
public:
    Inn() : listener_(listen_on("127.0.0.1", 0, SOCK_NONBLOCK)) {
        sigemptyset(&ours_);
        sigaddset(&ours_, SIGTERM);
        sigaddset(&ours_, SIGCHLD);
        check(::sigprocmask(SIG_BLOCK, &ours_, nullptr), "sigprocmask");
        bell_ = Fd(check(::signalfd(-1, &ours_, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
    }

    // Until the bell says that it is time to close.
    void run() {
        while (true) {
            std::array<pollfd, 2> news{
                {{listener_.number(), POLLIN, 0}, {bell_.number(), POLLIN, 0}}};
            check(::poll(news.data(), news.size(), -1), "poll");
            if (news[1].revents != 0 && is_closing_time()) return close();
            if (news[0].revents != 0) let_in();
        }
    }

private:
    // One SIGCHLD may stand for many, here too: so we ask about all.
    bool is_closing_time() {
        signalfd_siginfo said{};
        bool closes = false;
        while (::read(bell_.number(), &said, sizeof said) > 0)
            closes = closes || said.ssi_signo == SIGTERM;
        pid_t child = 0;
        while ((child = ::waitpid(-1, nullptr, WNOHANG)) > 0)
            book_.erase(child);
        return closes;
    }

    void let_in() {
        const int number = ::accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (number == -1 && (errno == EAGAIN || errno == ECONNABORTED)) return;
        const Fd guest(check(number, "accept"));
        const pid_t child = check(::fork(), "fork");
        if (child == 0) {
            listener_ = Fd();
            bell_ = Fd();
            ::sigprocmask(SIG_UNBLOCK, &ours_, nullptr);
            serve(guest);
            ::_exit(EXIT_SUCCESS);
        }
        book_.insert(child);
    }

    void close() {
        for (const pid_t guest : book_)
            ::kill(guest, SIGTERM);
        while (::wait(nullptr) > 0) {
        }
    }

    Fd listener_;
    Fd bell_;
    sigset_t ours_{};
    std::set<pid_t> book_;
};

int main() try {
    Inn().run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
