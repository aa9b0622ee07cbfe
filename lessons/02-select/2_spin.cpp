// 02 select, step 2: spin.
//
// Idea     MSG_DONTWAIT: recv() comes back at once, with bytes or with EAGAIN, "nothing yet". So
//          nobody can hold us up, and we ask everybody, again and again.
// Run it   ./lab run 02/2    and    ./lab client 01 -- --port PORT    and    top
// See      Everybody is answered at once. And one processor is busy, day and night.
// Was      In step 1 a silent caller kept the others waiting.
// Broken   A million questions a second, and nearly every answer is "nothing yet".

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <vector>

// Hears one piece, if there is one, and says it again. False: they have left.
bool echo(const Fd& caller) try {
    std::array<char, 4096> bytes{};
    const auto count = ::recv(caller.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == -1 && (errno == EAGAIN || errno == EINTR)) return true;
    check(count, "recv");
    for (ssize_t said = 0; said < count;)
        said += insist("send", [&] {
            return ::send(caller.number(), &bytes[static_cast<size_t>(said)],
                          static_cast<size_t>(count - said), 0);
        });
    return count > 0;
} catch (const std::exception& error) {
    log_line("lost a caller: ", error.what());
    return false;
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK); // accept() does not wait either
    std::vector<Fd> callers;
    while (true) {
        const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (caller != -1)
            callers.emplace_back(caller);
        else if (errno != EAGAIN && !passes(errno))
            check(caller, "accept");
        std::erase_if(callers, [](const Fd& each) { return !echo(each); });
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
