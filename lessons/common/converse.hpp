// Earned in lesson 01, steps 6 to 8: a whole conversation on a blocking socket, and its end.
#pragma once

#include "fd.hpp"
#include "insist.hpp"
#include "service.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

// Carries bytes between a caller and their service until all is said. It sleeps in send(), in recv()
// and in the caller's naps. Throws std::system_error when the caller is lost.
inline void converse(const Fd& caller, Service& service) {
    std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
    while (!service.finished()) {
        if (const auto text = service.unsent(); !text.empty()) {
            const auto count = insist(
                "send", [&] { return ::send(caller.number(), text.data(), text.size(), 0); });
            service.sent(static_cast<size_t>(count));
        } else if (const auto nap = service.nap()) {
            std::this_thread::sleep_for(*nap);
            service.woke();
        } else {
            const auto room = std::min(bytes.size(), service.room());
            const auto count =
                insist("recv", [&] { return ::recv(caller.number(), bytes.data(), room, 0); });
            if (count == 0)
                service.end_of_input();
            else
                service.receive({bytes.data(), static_cast<size_t>(count)});
        }
    }
}

// Ends our direction, then reads and forgets what the caller still says, until they end too: a
// close() with bytes unread would be a reset, and could destroy answers on their way. Waits for a
// second at most. Never throws: the caller may be gone, and then there is nobody to say goodbye to.
inline void say_goodbye(const Fd& caller,
                        std::chrono::duration<double> most = std::chrono::seconds(1)) {
    using namespace std::chrono;
    ::shutdown(caller.number(), SHUT_WR);
    const auto caller_ended = [&](int flags) {
        std::array<char, 16384> forgotten; // NOLINT(*-member-init)
        const auto count = ::recv(caller.number(), forgotten.data(), forgotten.size(), flags);
        return count == 0 || (count == -1 && errno != EAGAIN && errno != EINTR);
    };
    if (caller_ended(MSG_DONTWAIT)) return; // Most have, by now.
    const auto deadline = steady_clock::now() + duration_cast<steady_clock::duration>(most);
    do {
        const auto left = ceil<microseconds>(deadline - steady_clock::now()).count();
        if (left <= 0) return;
        const timeval time{.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
        ::setsockopt(caller.number(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    } while (!caller_ended(0));
}
