// Exercise 03/chairs, solved in another way: four barbers, and each of them goes to the door.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>
#include <vector>

void say(const Fd& caller, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

void serve(const Fd& caller) try {
    say(caller, "sit down\n");
    std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
    while (true) {
        const ssize_t count =
            insist("recv", [&] { return ::recv(caller.number(), bytes.data(), bytes.size(), 0); });
        if (count == 0) return;
        say(caller, {bytes.data(), static_cast<size_t>(count)});
    }
} catch (const std::exception& error) {
    std::cerr << "lost a customer: " << error.what() << '\n';
}

// accept() may be called by several threads at once: the kernel gives each caller to one of them.
void work(const Fd& listener) {
    while (true) {
        const Fd caller(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        serve(caller);
    }
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    std::vector<std::jthread> barbers;
    for (int i = 0; i < 4; ++i)
        barbers.emplace_back([&listener] {
            try {
                work(listener);
            } catch (const std::exception& error) {
                std::cerr << error.what() << '\n';
            }
        });
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
