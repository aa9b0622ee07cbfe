// Exercise 01/night-shift, solved: an owner for every descriptor, and errors that end one caller.
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>

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

// Sends all of it: a signal may end send() when a part is taken.
void say(const Fd& caller, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// Says again what the caller says, until the caller says goodbye.
void serve(const Fd& caller) {
    std::array<char, 65536> bytes{};
    while (true) {
        const ssize_t count =
            insist("recv", [&] { return ::recv(caller.number(), bytes.data(), bytes.size(), 0); });
        if (count == 0) return;
        say(caller, {bytes.data(), static_cast<size_t>(count)});
        answer_the_operator();
    }
}

int main() try {
    struct sigaction action {};
    action.sa_handler = on_question;
    check(::sigaction(SIGUSR1, &action, nullptr), "sigaction");
    std::signal(SIGPIPE, SIG_IGN);

    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const Fd caller(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        callers = callers + 1;
        try {
            serve(caller);
        } catch (const std::exception& error) {
            std::cerr << "lost a caller: " << error.what() << '\n';
        }
        answer_the_operator();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
