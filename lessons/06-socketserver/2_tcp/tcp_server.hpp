// A server whose requests are TCP connections.
#pragma once

#include "base_server.hpp"
#include "check.hpp"
#include "fd.hpp"

#include <sys/socket.h>

#include <utility>

// Its constructor only makes the socket. To bind it, and to listen, are functions that a derived
// class may override, and a constructor of a base class would not find those: Open calls them.
class TCPServer : public BaseServer {
public:
    explicit TCPServer(const Address& address) : TCPServer(address, SOCK_STREAM | SOCK_NONBLOCK) {}

    // Python's defaults. A derived class changes them in its constructor.
    int request_queue_size = 5; // so many callers may wait for get_request()
    bool allow_reuse_address = false;
    bool allow_reuse_port = false;

    Address server_address; // Once it is bound, with the port that the kernel has chosen.

    // Both throw std::system_error.
    virtual void server_bind() {
        const int yes = 1;
        for (const auto& [wanted, option] :
             {std::pair(allow_reuse_address, SO_REUSEADDR), {allow_reuse_port, SO_REUSEPORT}})
            if (wanted)
                check(::setsockopt(fileno(), SOL_SOCKET, option, &yes, sizeof yes), "setsockopt");
        check(::bind(fileno(), server_address.get(), server_address.size()), "bind");
        const auto ask = [this](sockaddr* where, socklen_t* size) {
            return ::getsockname(fileno(), where, size);
        };
        check(server_address.filled_by(ask), "getsockname");
    }
    virtual void server_activate() { check(::listen(fileno(), request_queue_size), "listen"); }

    // Nobody comes in any more. Call it when nobody serves.
    virtual void server_close() { socket_ = Fd(); }

    int fileno() const override { return socket_.number(); }

protected:
    // The listener does not block: who has called may be gone before we pick up (lesson 02, step
    // 6). Close-on-exec, as is every connection.
    TCPServer(const Address& address, int type)
        : server_address(address),
          socket_(check(::socket(address.family(), type | SOCK_CLOEXEC, 0), "socket")) {}

    std::pair<Incoming, Address> get_request() override {
        Address client_address;
        const int number = client_address.filled_by([this](sockaddr* where, socklen_t* size) {
            return ::accept4(fileno(), where, size, SOCK_CLOEXEC);
        });
        return {Incoming{.socket = Fd(check(number, "accept")), .packet = {}}, client_address};
    }

    // Ends our direction first. Where somebody else has a copy of the connection, a process for
    // example, close() alone would end nothing.
    void shutdown_request(Incoming& request) override {
        ::shutdown(request.socket.number(), SHUT_WR); // ENOTCONN: they are gone, and that is fine.
        close_request(request);
    }
    void close_request(Incoming& request) override { request.socket = Fd(); }

private:
    Fd socket_;
};
