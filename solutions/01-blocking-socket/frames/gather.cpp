// Exercise 01/frames, solved in another way: take what there is, then look whether it is enough.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <array>
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

// Gathers what comes, and cuts frames off its front.
class Frames {
public:
    explicit Frames(const Fd& caller) : caller_(caller) {}

    // The bytes of the caller's next frame; nothing if they have ended, be it in the middle of one.
    std::optional<std::string> next() {
        while (gathered_.size() < 2 || gathered_.size() < 2 + size())
            if (!gather()) return std::nullopt;
        std::string frame = gathered_.substr(2, size());
        gathered_.erase(0, 2 + size());
        return frame;
    }

private:
    // What the first two bytes say.
    size_t size() const {
        const size_t high = static_cast<unsigned char>(gathered_[0]);
        const size_t low = static_cast<unsigned char>(gathered_[1]);
        return high << 8 | low;
    }

    // False if the caller has ended.
    bool gather() {
        std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
        const ssize_t count =
            insist("recv", [&] { return ::recv(caller_.number(), bytes.data(), bytes.size(), 0); });
        gathered_.append(bytes.data(), static_cast<size_t>(count));
        return count > 0;
    }

    const Fd& caller_;
    std::string gathered_;
};

// Answers every frame with its bytes in the opposite order.
void serve(const Fd& caller) {
    Frames frames(caller);
    while (const auto frame = frames.next())
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
