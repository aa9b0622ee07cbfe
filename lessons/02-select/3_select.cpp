// 02 select, step 3: select.
//
// Idea     One question for all: who has something to say? select() sleeps until somebody has. It
//          is the only call in which this server sleeps.
// Run it   ./lab run 02/3    and    ./lab client 01 -- --port PORT    and    top
// See      Everybody is answered at once, and the processor has a day off.
// Was      Step 2 asked each caller by name, all the time.
// Broken   This is an echo: it needs no memory of a caller. A hotline has to know who said what.

#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"

#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <vector>

// Hears one piece and says it again. False: they have left.
bool echo(const Fd& caller) try {
    std::array<char, 4096> bytes{};
    const auto count = check(::recv(caller.number(), bytes.data(), bytes.size(), 0), "recv");
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
    const Fd listener = listen_on("127.0.0.1", 0);
    std::vector<Fd> callers;
    while (true) {
        // A set of descriptors: one bit for each number. select() writes its answer into the same
        // set, so the question is asked anew each time. A listener is ready when somebody calls.
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(listener.number(), &ready);
        int highest = listener.number();
        for (const Fd& caller : callers) {
            FD_SET(caller.number(), &ready);
            highest = std::max(highest, caller.number());
        }

        // The kernel looks at the numbers below the first argument: not how many there are, but
        // one more than the highest.
        insist("select", [&] { return ::select(highest + 1, &ready, nullptr, nullptr, nullptr); });
        std::erase_if(callers, [&](const Fd& caller) {
            return FD_ISSET(caller.number(), &ready) && !echo(caller);
        });
        if (FD_ISSET(listener.number(), &ready))
            callers.emplace_back(
                check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
