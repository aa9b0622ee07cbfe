// Exercise 01/deadline, solved: poll() waits for what is left of the second.
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "request.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>

using Clock = std::chrono::steady_clock; // nobody can set it back
using namespace std::chrono_literals;

constexpr auto patience = 1s; // for each line

// Gathers what the caller says, and gives it line by line.
class Lines {
public:
    explicit Lines(const Fd& caller) : caller_(caller) {}

    // The next line without its end; nothing if the caller has ended. Throws if it takes too long.
    std::optional<std::string> next() {
        const auto deadline = Clock::now() + patience;
        while (gathered_.find('\n') == std::string::npos)
            if (!gather(deadline)) return std::nullopt;
        const size_t end = gathered_.find('\n');
        std::string line = gathered_.substr(0, end);
        gathered_.erase(0, end + 1);
        return line;
    }

private:
    // False if the caller has ended. Bytes that come do not move the deadline.
    bool gather(Clock::time_point deadline) {
        const auto left = ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd ready{.fd = caller_.number(), .events = POLLIN, .revents = 0};
        if (left <= 0 || check(::poll(&ready, 1, static_cast<int>(left)), "poll") == 0)
            throw std::runtime_error("too slow");
        std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
        const ssize_t count =
            insist("recv", [&] { return ::recv(caller_.number(), bytes.data(), bytes.size(), 0); });
        gathered_.append(bytes.data(), static_cast<size_t>(count));
        return count > 0;
    }

    const Fd& caller_;
    std::string gathered_;
};

// Says every line again, in capitals.
void serve(const Fd& caller) {
    Lines lines(caller);
    while (const auto line = lines.next()) {
        const std::string answer = upper_case(*line) + '\n';
        check(::send(caller.number(), answer.data(), answer.size(), 0), "send");
    }
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
