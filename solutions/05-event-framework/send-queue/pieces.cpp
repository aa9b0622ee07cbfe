// Exercise 05/send-queue, solved in another way: write() only keeps, and writable() says it all.
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "reactor.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

// A connection: its descriptor, and what it still has to say.
class Transport : public Watcher {
public:
    Transport(Reactor& reactor, Fd caller) : Watcher(std::move(caller)), reactor_(reactor) {}

    void readable() override {
        std::array<char, 4096> bytes{};
        const ssize_t count = ::recv(number(), bytes.data(), bytes.size(), 0);
        if (count == -1 && errno == EAGAIN) return;
        if (count == -1) lost_ = true;
        if (count == 0) lose_connection();
        if (count > 0) data_received({bytes.data(), static_cast<size_t>(count)});
        settle();
    }

    // There is room for more of what is unsent.
    void writable() override {
        say();
        settle();
    }

protected:
    virtual void data_received(std::string_view bytes) = 0;

    // Never waits. What the kernel does not take now is said later, in the same order.
    void write(std::string_view bytes) {
        if (!bytes.empty()) unsent_.emplace_back(bytes);
    }

    // Says all that is unsent, then the end. Nothing more is heard.
    void lose_connection() { leaving_ = true; }
    bool leaving() const { return leaving_; }

private:
    // The last line of whatever the reactor calls: it says what to wait for next, or ends us.
    void settle() {
        if (lost_ || (leaving_ && unsent_.empty())) return reactor_.unwatch(*this);
        reactor_.want(*this, {.reading = !leaving_, .writing = !unsent_.empty()});
    }

    // As much of the first piece as the kernel takes. The reactor will come again.
    void say() {
        const auto bytes = std::string_view(unsent_.front()).substr(said_);
        const ssize_t taken = ::send(number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (taken == -1 && errno != EAGAIN) lost_ = true;
        const size_t count = taken == -1 ? 0 : static_cast<size_t>(taken);
        said_ += count;
        if (said_ < unsent_.front().size()) return;
        unsent_.pop_front();
        said_ = 0;
    }

    Reactor& reactor_;
    std::deque<std::string> unsent_;
    size_t said_ = 0; // of the first piece
    bool leaving_ = false;
    bool lost_ = false; // there is nobody to whom anything could be said
};

// Who asks for 5 gets `abcde`. `bye` is the end.
class Alphabet final : public Transport {
public:
    using Transport::Transport;

private:
    void data_received(std::string_view bytes) override {
        heard_ += bytes;
        size_t end = 0;
        while (!leaving() && (end = heard_.find('\n')) != std::string::npos) {
            answer(heard_.substr(0, end));
            heard_.erase(0, end + 1);
        }
    }

    void answer(const std::string& line) {
        if (line == "bye") {
            write("bye\n");
            return lose_connection();
        }
        std::string letters(std::strtoul(line.c_str(), nullptr, 10), 'a');
        for (size_t i = 0; i < letters.size(); ++i)
            letters[i] = static_cast<char>('a' + i % 26);
        write(letters);
        write("\n");
    }

    std::string heard_;
};

class Door final : public Watcher {
public:
    Door(Reactor& reactor, Fd listener) : Watcher(std::move(listener)), reactor_(reactor) {}

    void readable() override {
        Fd caller(::accept4(number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (caller.number() == -1) return;
        reactor_.watch(std::make_unique<Alphabet>(reactor_, std::move(caller)), {.reading = true});
    }

private:
    Reactor& reactor_;
};

int main() try {
    Reactor reactor;
    reactor.watch(std::make_unique<Door>(reactor, listen_on("127.0.0.1", 0, SOCK_NONBLOCK)),
                  {.reading = true});
    reactor.run();
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
