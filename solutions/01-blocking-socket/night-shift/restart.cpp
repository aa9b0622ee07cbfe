// Exercise 01/night-shift, solved in another way: the kernel makes the calls anew, and errors are
// values.
#include "listen_on.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>

// How many callers were there tonight? `kill -USR1 PID` asks, and the log has the answer.
volatile std::sig_atomic_t callers = 0;
volatile std::sig_atomic_t asked = 0;

extern "C" void on_question(int /*number*/) {
    asked = 1;
}

void answer_the_operator() {
    if (asked == 0) return;
    asked = 0;
    std::cerr << callers << " callers so far\n";
}

// Sends all of it. False if the caller is gone.
bool say(int caller, const char* bytes, ssize_t size) {
    while (size > 0) {
        // With SA_RESTART a signal never shows as EINTR. What was taken before it came still counts,
        // so send() can be short all the same.
        const ssize_t count = ::send(caller, bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
        if (count == -1) return false;
        bytes += count;
        size -= count;
    }
    return true;
}

// Says again what the caller says, until one of the two is gone.
void serve(int caller) {
    std::array<char, 65536> bytes{};
    ssize_t count = 0;
    while ((count = ::recv(caller, bytes.data(), bytes.size(), 0)) > 0) {
        if (!say(caller, bytes.data(), count)) return;
        answer_the_operator();
    }
}

int main() try {
    struct sigaction action {};
    action.sa_handler = on_question;
    action.sa_flags = SA_RESTART;
    check(::sigaction(SIGUSR1, &action, nullptr), "sigaction");

    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (caller == -1) {
            if (errno == ECONNABORTED) continue; // gone before we picked up
            check(caller, "accept");
        }
        callers = callers + 1;
        serve(caller);
        ::close(caller);
        answer_the_operator();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
