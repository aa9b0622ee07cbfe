// Exercise 02/outbox: a library that lends its book to many readers. README.md says what to do.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <list>
#include <string>

// Eight volumes, all the same: "0 1 2 3 ...", a megabyte each.
std::string write_book() {
    std::string book;
    for (int i = 0; book.size() < 1'000'000; ++i)
        book += std::to_string(i) + ' ';
    for (int i = 0; i < 3; ++i)
        book += book;
    return book;
}

// Whom select() is to watch. Afterwards: who is ready.
class Watch {
public:
    Watch() {
        FD_ZERO(&readable_);
        FD_ZERO(&writable_);
    }
    void for_reading(int number) { add(number, readable_); }
    void for_writing(int number) { add(number, writable_); }
    bool readable(int number) const { return FD_ISSET(number, &readable_); }
    bool writable(int number) const { return FD_ISSET(number, &writable_); }

    void wait() {
        insist("select",
               [&] { return ::select(highest_ + 1, &readable_, &writable_, nullptr, nullptr); });
    }

private:
    void add(int number, fd_set& set) {
        FD_SET(number, &set);
        highest_ = std::max(highest_, number);
    }

    fd_set readable_;
    fd_set writable_;
    int highest_ = -1;
};

// A reader: says a number, and gets so many bytes of the book, and the end of a line.
class Reader {
public:
    explicit Reader(Fd caller) : caller_(std::move(caller)) {}

    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    // TODO(you): about what does select() have to be asked, and when?
    void join(Watch& watch) const { watch.for_reading(number()); }

    void serve(const Watch& watch, const std::string& book) try {
        if (watch.readable(number())) hear();
        answer(book);
        over_ = ended_; // TODO(you): is it really over then?
    } catch (const std::exception& error) {
        std::cerr << "lost a reader: " << error.what() << '\n';
        over_ = true;
    }

private:
    void hear() {
        std::array<char, 4096> bytes; // NOLINT(*-member-init): recv() fills it.
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        ended_ = check(count, "recv") == 0;
        heard_.append(bytes.data(), static_cast<size_t>(count));
    }

    // TODO(you): the line says how many bytes of the book they want. Who sends them, and when?
    void answer(const std::string& book) { (void)book; }

    Fd caller_;
    std::string heard_;  // not yet answered
    bool ended_ = false; // they say no more
    bool over_ = false;
};

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const std::string book = write_book();
    const Fd listener = listen_on("127.0.0.1", 0);
    std::list<Reader> readers;
    while (true) {
        Watch watch;
        watch.for_reading(listener.number());
        for (const Reader& reader : readers)
            reader.join(watch);
        watch.wait();
        for (Reader& reader : readers)
            reader.serve(watch, book);
        std::erase_if(readers, [](const Reader& reader) { return reader.over(); });
        if (watch.readable(listener.number()))
            readers.emplace_back(
                Fd(check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept")));
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
