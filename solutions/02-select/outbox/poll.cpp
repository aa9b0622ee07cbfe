// Exercise 02/outbox, solved in another way: poll(), and answers that are gathered up to a measure.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

// Eight volumes, all the same: "0 1 2 3 ...", a megabyte each.
std::string write_book() {
    std::string book;
    for (int i = 0; book.size() < 1'000'000; ++i)
        book += std::to_string(i) + ' ';
    for (int i = 0; i < 3; ++i)
        book += book;
    return book;
}

// Of what was heard, and of what is owed.
constexpr size_t enough = 65'536;

// A reader: says a number, and gets so many bytes of the book, and the end of a line.
struct Reader {
    Fd caller;
    std::string heard = {};  // not yet answered
    std::string unsent = {}; // answered, not yet sent
    bool ended = false;      // they say no more
    bool over = false;

    // poll() is told by bits what we ask about. There is no highest number, and no limit of 1,024.
    short interest() const {
        const bool listens = !ended && heard.size() < enough;
        return static_cast<short>((listens ? POLLIN : 0) | (unsent.empty() ? 0 : POLLOUT));
    }
};

void hear(Reader& reader) {
    std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
    const ssize_t count = ::recv(reader.caller.number(), bytes.data(), bytes.size(), 0);
    if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
    reader.ended = check(count, "recv") == 0;
    reader.heard.append(bytes.data(), static_cast<size_t>(count));
}

void answer(Reader& reader, const std::string& book) {
    size_t end = 0;
    while (reader.unsent.size() < enough && (end = reader.heard.find('\n')) != std::string::npos) {
        reader.unsent += book.substr(0, std::strtoul(reader.heard.c_str(), nullptr, 10)) + '\n';
        reader.heard.erase(0, end + 1);
    }
}

void speak(Reader& reader) {
    const ssize_t count =
        ::send(reader.caller.number(), reader.unsent.data(), reader.unsent.size(), 0);
    if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
    reader.unsent.erase(0, static_cast<size_t>(check(count, "send")));
}

// poll() reports errors and the end of both directions (POLLERR, POLLHUP) to whom did not ask.
void serve(Reader& reader, short ready, const std::string& book) try {
    if ((ready & (POLLIN | POLLERR | POLLHUP)) != 0 && !reader.ended) hear(reader);
    if ((ready & (POLLOUT | POLLERR | POLLHUP)) != 0 && !reader.unsent.empty()) speak(reader);
    answer(reader, book);
    reader.over = reader.ended && reader.unsent.empty();
} catch (const std::exception& error) {
    std::cerr << "lost a reader: " << error.what() << '\n';
    reader.over = true;
}

// The listener stands last, and each reader has the place that they have in the list.
std::vector<pollfd> ask(const std::vector<Reader>& readers, const Fd& listener) {
    std::vector<pollfd> places;
    for (const Reader& reader : readers)
        places.push_back({reader.caller.number(), reader.interest(), 0});
    places.push_back({listener.number(), POLLIN, 0});
    insist("poll", [&] { return ::poll(places.data(), places.size(), -1); });
    return places;
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const std::string book = write_book();
    const Fd listener = listen_on("127.0.0.1", 0);
    std::vector<Reader> readers;
    while (true) {
        const std::vector<pollfd> places = ask(readers, listener);
        for (size_t i = 0; i < readers.size(); ++i)
            serve(readers[i], places[i].revents, book);
        std::erase_if(readers, [](const Reader& reader) { return reader.over; });
        if (places.back().revents != 0)
            readers.push_back({.caller = Fd(check(::accept4(listener.number(), nullptr, nullptr,
                                                            SOCK_CLOEXEC | SOCK_NONBLOCK),
                                                  "accept"))});
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
