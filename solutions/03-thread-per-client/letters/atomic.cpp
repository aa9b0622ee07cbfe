// Exercise 03/letters, solved in another way: no lock, but one atomic value that holds both numbers.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

// Eight bytes, which the processor can exchange in one step. Numbers are smaller for it.
struct Sums {
    std::uint32_t lines = 0;
    std::uint32_t letters = 0;
};
static_assert(std::atomic<Sums>::is_always_lock_free);

// Writes `sums` anew if nobody has changed it since we looked; else it looks again.
Sums add(std::atomic<Sums>& sums, std::uint32_t letters) {
    Sums before = sums.load();
    Sums after;
    do {
        after = {.lines = before.lines + 1, .letters = before.letters + letters};
    } while (!sums.compare_exchange_weak(before, after));
    return after;
}

// Sends all of it. False: the caller is gone.
bool say(int caller, const std::string& text) {
    for (size_t said = 0; said < text.size();) {
        const ssize_t count = ::send(caller, text.data() + said, text.size() - said, MSG_NOSIGNAL);
        if (count == -1 && errno == EINTR) continue;
        if (count == -1) return false;
        said += static_cast<size_t>(count);
    }
    return true;
}

bool weigh(int caller, const std::string& line, std::atomic<Sums>& sums) {
    std::uint32_t letters = 0;
    for (const char letter : line)
        if (letter != ' ') ++letters;
    const Sums all = add(sums, letters);
    return say(caller, line + " (" + std::to_string(all.lines) + " lines, " +
                           std::to_string(all.letters) + " letters)\n");
}

// The thread has a number of its own, and an owner for it.
void serve(int number, std::atomic<Sums>* sums) {
    const Fd caller(number);
    std::array<char, 65536> bytes; // NOLINT(*-member-init): recv() fills it.
    std::string heard;
    while (true) {
        const ssize_t count = ::recv(number, bytes.data(), bytes.size(), 0);
        if (count == -1 && errno == EINTR) continue;
        if (count <= 0) return;
        heard.append(bytes.data(), static_cast<size_t>(count));
        for (size_t end = 0; (end = heard.find('\n')) != std::string::npos; heard.erase(0, end + 1))
            if (!weigh(number, heard.substr(0, end), *sums)) return;
    }
}

int main() try {
    std::atomic<Sums> sums{Sums{}};
    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (caller == -1 && (errno == EINTR || errno == ECONNABORTED)) continue;
        std::thread(serve, check(caller, "accept"), &sums).detach();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
