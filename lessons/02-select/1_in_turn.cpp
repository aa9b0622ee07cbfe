// 02 select, step 1: in turn.
//
// Idea     Two callers are on the line at once, and we hear them in turn: A, B, A, B ...
// Run it   ./lab run 02/1    and in two more terminals    ./lab client 01 -- --port PORT
// See      B says something, and hears nothing. A says something: now B has an answer, too.
// Was      In lesson 01 the second caller waited until the first one had left.
// Broken   recv() sleeps until A speaks. Meanwhile B may say what they like: nobody listens.

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

// Hears one piece and says it again. False: they have left.
bool echo(const Fd& caller) try {
    std::array<char, 4096> bytes{};
    const auto count =
        insist("recv", [&] { return ::recv(caller.number(), bytes.data(), bytes.size(), 0); });
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

Fd pick_up(const Fd& listener) {
    return Fd(insist("accept",
                     [&] { return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC); }));
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
    std::vector<Fd> callers;
    callers.push_back(pick_up(listener));
    callers.push_back(pick_up(listener));
    while (!callers.empty())
        std::erase_if(callers, [](const Fd& caller) { return !echo(caller); });
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
