// The measure: an echo server with nothing but what it needs. One thread, one level-triggered
// epoll_wait() for all, one buffer for all. `./lab bench` compares the lessons' servers with it.
//
// A message costs it recv() and send(), and its share of an epoll_wait(). It asks for no memory,
// unless a caller does not take the answer: then it keeps what is left, and reads nothing from them
// until it has gone.

#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct Caller {
    Fd line;
    std::string unsent;
};

// Nothing: not now. Zero: the caller says no more, or is gone.
std::optional<size_t> done(ssize_t result) {
    if (result == -1 && errno == EAGAIN) return std::nullopt;
    return result > 0 ? static_cast<size_t>(result) : 0;
}

class Echo {
public:
    Echo() : listener_(listen_on("127.0.0.1", 0, SOCK_NONBLOCK)) {
        watch(EPOLL_CTL_ADD, listener_, EPOLLIN, nullptr);
    }

    [[noreturn]] void run() {
        std::array<epoll_event, 512> events; // NOLINT(*-member-init): epoll_wait() fills it.
        while (true) {
            const int count = check(::epoll_wait(epoll_.number(), events.data(), events.size(), -1),
                                    "epoll_wait");
            for (int i = 0; i < count; ++i) {
                auto* caller = static_cast<Caller*>(events[static_cast<size_t>(i)].data.ptr);
                if (!caller)
                    pick_up();
                else if (!(caller->unsent.empty() ? answer(*caller) : go_on(*caller)))
                    delete caller; // NOLINT(*-owning-memory): it lives in the kernel's hands.
            }
        }
    }

private:
    void watch(int how, const Fd& whom, std::uint32_t events, Caller* caller) const {
        epoll_event wish{};
        wish.events = events;
        wish.data.ptr = caller;
        check(::epoll_ctl(epoll_.number(), how, whom.number(), &wish), "epoll_ctl");
    }

    void pick_up() const {
        while (true) {
            const int number =
                ::accept4(listener_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (number == -1) return;
            auto caller = std::make_unique<Caller>(Caller{Fd(number), {}});
            watch(EPOLL_CTL_ADD, caller->line, EPOLLIN, caller.get());
            caller.release(); // NOLINT(*-unused-return-value)
        }
    }

    // One read for each event: if there is more, epoll says so again, and others had their turn.
    bool answer(Caller& caller) {
        const auto heard = done(::recv(caller.line.number(), buffer_.data(), buffer_.size(), 0));
        if (!heard) return true;
        if (*heard == 0) return false;
        const auto sent = done(::send(caller.line.number(), buffer_.data(), *heard, MSG_NOSIGNAL));
        if (sent && *sent == 0) return false;
        if (sent.value_or(0) < *heard) {
            caller.unsent.assign(buffer_.data() + sent.value_or(0), *heard - sent.value_or(0));
            watch(EPOLL_CTL_MOD, caller.line, EPOLLOUT, &caller);
        }
        return true;
    }

    bool go_on(Caller& caller) const {
        const auto& text = caller.unsent;
        const auto sent =
            done(::send(caller.line.number(), text.data(), text.size(), MSG_NOSIGNAL));
        if (sent && *sent == 0) return false;
        caller.unsent.erase(0, sent.value_or(0));
        if (!caller.unsent.empty()) return true;
        caller.unsent.shrink_to_fit();
        watch(EPOLL_CTL_MOD, caller.line, EPOLLIN, &caller);
        return true;
    }

    Fd listener_;
    Fd epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
    std::array<char, 65536> buffer_{};
};

int main() try {
    std::signal(SIGTERM, [](int) { ::_exit(EXIT_SUCCESS); });
    Echo().run();
} catch (const std::exception& error) {
    std::cerr << "epoll_echo: " << error.what() << '\n';
    return EXIT_FAILURE;
}
