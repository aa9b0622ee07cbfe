// To call somebody, without waiting for them to answer.
#pragma once

#include "check.hpp"
#include "deferred.hpp"
#include "failure.hpp"
#include "fd.hpp"
#include "reactor.hpp"
#include "watcher.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

// A call that is under way. When the kernel knows how it went, the socket becomes writable: that is
// the one moment for which we wait.
class Connector final : public Watcher {
public:
    Connector(Reactor& reactor, Fd socket)
        : Watcher(std::move(socket)), reactor_(reactor),
          connected_([this](const auto&) { reactor_.unwatch(*this); }) {}

    const Deferred<Fd>& connected() const { return connected_; }

    void readable() override {}

    // Writable says that it is over, not that it went well. The error, which connect() could not
    // return any more, waits in the socket.
    void writable() override {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(number(), SOL_SOCKET, SO_ERROR, &error, &size);
        const auto connected = connected_; // What its links do may be the end of us.
        Fd socket = reactor_.unwatch(*this);
        if (error == 0)
            connected.callback(std::move(socket));
        else
            connected.errback(
                Failure(std::system_error(error, std::generic_category(), "connect")));
    }

private:
    Reactor& reactor_;
    const Deferred<Fd> connected_;
};

// Calls this address. The Deferred fires with a connected socket that does not block, or with the
// Failure that says why not. Without add_timeout() that may take two minutes: where nobody answers
// at all, not even with a no, the kernel asks again and again (tcp(7), tcp_syn_retries).
inline Deferred<Fd> connect_to(Reactor& reactor, const sockaddr_in& address) try {
    Fd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    const int yes = 1; // As for those who call us: small questions are to leave at once.
    check(::setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "setsockopt");
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    // EINPROGRESS is the usual answer, and no error. A signal does not end the call, either.
    if (::connect(socket.number(), where, sizeof address) == -1 && errno != EINPROGRESS &&
        errno != EINTR)
        check(-1, "connect");
    auto connector = std::make_unique<Connector>(reactor, std::move(socket));
    auto connected = connector->connected();
    reactor.watch(std::move(connector), {.writing = true});
    return connected;
} catch (...) {
    Deferred<Fd> failed;
    failed.errback(Failure(std::current_exception()));
    return failed;
}
