// Exercise 03/letters: a scale for words, and a thread for each customer. README.md says who complains.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

// What all customers share.
struct Book {
    std::uint64_t lines = 0;
    std::uint64_t letters = 0;
};

std::mutex at_the_counter; // so that two answers do not get mixed up

void say(const Fd& caller, std::string_view bytes) {
    const std::lock_guard lock(at_the_counter);
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// Weighs one line, letter by letter, and says it again with what has been weighed in all.
void weigh(const Fd& caller, const std::string& line, Book& book) {
    ++book.lines;
    for (const char letter : line)
        if (letter != ' ') ++book.letters;
    say(caller, line + " (" + std::to_string(book.lines) + " lines, " +
                    std::to_string(book.letters) + " letters)\n");
}

void serve(const Fd& caller, Book& book) {
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
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Book book;
    const Fd listener = listen_on("127.0.0.1", 0);
    Fd caller;
    while (true) {
        caller = Fd(insist("accept", [&] {
            return ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        }));
        std::thread([&] { serve(caller, book); }).detach();
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
