// Where callers come in.
#pragma once

#include "accept_errors.hpp"
#include "check.hpp"
#include "factory.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "reactor.hpp"
#include "socket_transport.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>

// For the reactor it is a watcher like the others. Each caller gets a protocol from the factory, which
// must outlive it.
class ListeningPort final : public Watcher {
public:
    // Small answers are to leave at once. Callers inherit that from the listener: it saves one call
    // for each of them.
    ListeningPort(Reactor& reactor, Factory& factory, const std::string& host, in_port_t port)
        : Watcher(listen_on(host, port, SOCK_NONBLOCK)), reactor_(reactor), factory_(factory) {
        const int yes = 1;
        check(::setsockopt(number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "setsockopt");
    }
    ~ListeningPort() override { opening_.cancel(); }

    // The port that callers call; where 0 was asked for, it is the kernel's choice.
    in_port_t port() const {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        check(::getsockname(number(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
        return ntohs(address.sin_port);
    }

    // Nobody comes in while it is paused: callers wait in the kernel's queue.
    void pause() {
        paused_ = true;
        update();
    }
    void resume() {
        paused_ = false;
        update();
    }

    // Closes it. It is destroyed at the end of the iteration. Until then its timer may become due, and
    // what would it open?
    void stop_listening() {
        opening_.cancel();
        if (!closed()) reactor_.unwatch(*this);
    }

    // Many callers may have come at once. But those who are in want to be served, too.
    void readable() override {
        for (int i = 0; i < 64 && open(); ++i)
            if (!pick_up()) return;
    }

private:
    bool closed() const { return number() == -1; }
    bool open() const { return !closed() && !paused_ && !short_of_room_; }
    void update() {
        if (!closed()) reactor_.want(*this, {.reading = open()});
    }

    // The caller stays in the queue, and we would be told so again and again.
    void wait_a_second(int error) {
        log_line("no room for a caller: ", std::strerror(error), "; I wait a second");
        short_of_room_ = true;
        update();
        opening_ = reactor_.call_later(std::chrono::seconds(1), [this] {
            short_of_room_ = false;
            update();
        });
    }

    // False if nobody is there any more, or if there is no room for them.
    bool pick_up() {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        Fd caller(::accept4(number(), reinterpret_cast<sockaddr*>(&address), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (caller.number() != -1) {
            let_in(std::move(caller), address);
            return true;
        }
        if (is_short_of_room(errno))
            wait_a_second(errno);
        else if (errno != EAGAIN && !passes(errno))
            check(-1, "accept");
        return false;
    }

    // If there is no memory for one caller more, that is their trouble, not the others'.
    void let_in(Fd caller, const sockaddr_in& address) try {
        auto protocol = factory_.build_protocol(address);
        if (!protocol) return;
        auto owned = std::make_unique<SocketTransport>(reactor_, std::move(caller), address,
                                                       std::move(protocol));
        SocketTransport& transport = *owned;
        reactor_.watch(std::move(owned), {.reading = true});
        transport.begin();
    } catch (...) {
        log_line("lost a caller: ", text_of(std::current_exception()));
    }

    Reactor& reactor_;
    Factory& factory_;
    Timer opening_;
    bool paused_ = false;
    bool short_of_room_ = false;
};
