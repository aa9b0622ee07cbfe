// Exercise 03/letters, solved: one lock for the two numbers that belong together, and for nothing else.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

struct Sums {
    std::uint64_t lines = 0;
    std::uint64_t letters = 0;
};

// What all customers share.
class Book {
public:
    // Writes down one line, and says what there is now: both numbers of the same moment.
    Sums add(std::uint64_t letters) {
        const std::lock_guard lock(mutex_);
        ++sums_.lines;
        sums_.letters += letters;
        return sums_;
    }

private:
    std::mutex mutex_; // guards sums_
    Sums sums_;
};

// Nobody else speaks to this caller, so there is nothing to guard.
void say(const Fd& caller, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// Weighs one line, letter by letter, and says it again with what has been weighed in all.
void weigh(const Fd& caller, const std::string& line, Book& book) {
    const auto blanks = std::count(line.begin(), line.end(), ' ');
    const Sums sums = book.add(line.size() - static_cast<size_t>(blanks));
    say(caller, line + " (" + std::to_string(sums.lines) + " lines, " +
                    std::to_string(sums.letters) + " letters)\n");
}

// The outermost line of a thread: what goes wrong with a caller ends here.
void serve(const Fd& caller, Book& book) try {
    std::array<char, 65536> bytes; // NOLINT(*-member-init): recv() fills it.
    std::string heard;
    while (true) {
        const ssize_t count =
            insist("recv", [&] { return ::recv(caller.number(), bytes.data(), bytes.size(), 0); });
        if (count == 0) return;
        heard.append(bytes.data(), static_cast<size_t>(count));
        for (size_t end = 0; (end = heard.find('\n')) != std::string::npos; heard.erase(0, end + 1))
            weigh(caller, heard.substr(0, end), book);
    }
} catch (const std::exception& error) {
    std::cerr << "lost a caller: " << error.what() << '\n';
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Book book;
    const Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        Fd caller(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        std::thread([caller = std::move(caller), &book] { serve(caller, book); }).detach();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
