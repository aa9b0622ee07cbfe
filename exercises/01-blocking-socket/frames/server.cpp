// Exercise 01/frames: numbers in place of line ends. README.md says what to do.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

// Sends all of it, however slowly the caller reads.
void say(const Fd& caller, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// A frame on the wire: its size in two bytes, the bigger one first, then so many bytes.
void say_frame(const Fd& caller, std::string_view bytes) {
    const auto size = static_cast<unsigned>(bytes.size());
    std::string frame = {static_cast<char>(size >> 8), static_cast<char>(size & 0xff)};
    frame += bytes;
    say(caller, frame);
}

// The bytes of the caller's next frame; nothing if they have ended, be it in the middle of one.
std::optional<std::string> hear_frame(const Fd& caller) {
    // TODO(you): a recv() here or there will do, but how many?
    (void)caller;
    return std::nullopt;
}

// Answers every frame with its bytes in the opposite order.
void serve(const Fd& caller) {
    while (const auto frame = hear_frame(caller))
        say_frame(caller, std::string(frame->rbegin(), frame->rend()));
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const Fd caller(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        try {
            serve(caller);
        } catch (const std::exception& error) {
            std::cerr << "lost a caller: " << error.what() << '\n';
        }
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
