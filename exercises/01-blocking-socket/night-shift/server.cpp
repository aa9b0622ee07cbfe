// Exercise 01/night-shift: this server works all day in the workshop. README.md says what happens at
// night.
#include "listen_on.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
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

// Says again what the caller says, until the caller says goodbye.
void serve(int caller) {
    std::array<char, 65536> bytes{};
    while (true) {
        const ssize_t count = check(::recv(caller, bytes.data(), bytes.size(), 0), "recv");
        if (count == 0) return;
        check(::send(caller, bytes.data(), bytes.size(), 0), "send");
        answer_the_operator();
    }
}

int main() try {
    struct sigaction action {};
    action.sa_handler = on_question;
    check(::sigaction(SIGUSR1, &action, nullptr), "sigaction");

    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const int caller =
            check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept");
        callers = callers + 1;
        serve(caller);
        answer_the_operator();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
