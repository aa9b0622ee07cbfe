// Exercise 03/chairs, solved: a chair first, and then the door.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <semaphore>
#include <string_view>
#include <thread>
#include <utility>

// A semaphore is a number of things. Who takes one when none is left sleeps until one comes back.
using Chairs = std::counting_semaphore<4>;

// A chair that is taken, and goes back on whatever way its owner ends.
class Chair {
public:
    explicit Chair(Chairs& chairs) : chairs_(&chairs) { chairs.acquire(); }
    Chair(Chair&& other) noexcept : chairs_(std::exchange(other.chairs_, nullptr)) {}
    Chair& operator=(Chair&&) = delete;
    ~Chair() {
        if (chairs_ != nullptr) chairs_->release();
    }

private:
    Chairs* chairs_;
};

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

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    Chairs chairs(4);
    while (true) {
        Chair chair(chairs); // Before accept(): who waits, waits in the kernel.
        Fd caller(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        std::thread([caller = std::move(caller), chair = std::move(chair)] {
            serve(caller);
        }).detach();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
