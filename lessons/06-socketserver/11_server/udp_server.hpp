// A server whose requests are datagrams.
#pragma once

#include "log.hpp"
#include "tcp_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>
#include <utility>

// It is a TCPServer with other stations, as in Python. There are no connections: all callers come
// by the one socket, and so do the answers.
class UDPServer : public TCPServer {
public:
    UDPServer(const Address& address, RequestHandlerClass handler_class)
        : TCPServer(address, std::move(handler_class), SOCK_DGRAM) {}

    std::size_t max_packet_size = 8'192; // bytes; Python's default

    void server_activate() override {} // Nobody connects, so there is nothing to listen for.

protected:
    // One call, one datagram, the whole of it; 0 bytes are a datagram, too, and no end of anything.
    // One that is longer than our memory would be cut without a word: MSG_TRUNC makes recvfrom()
    // say how long it was. Half a message is none, so we drop it. Here that is one more lost
    // datagram.
    std::pair<Incoming, Address> get_request() override {
        Address client_address;
        std::string packet(max_packet_size, '\0');
        const auto size = client_address.filled_by([&](sockaddr* where, socklen_t* length) {
            return ::recvfrom(fileno(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_TRUNC,
                              where, length);
        });
        if (static_cast<std::size_t>(check(size, "recvfrom")) > packet.size()) {
            log_line("dropped a datagram of ", std::to_string(size), " bytes: max_packet_size is ",
                     std::to_string(packet.size()));
            throw std::system_error(EMSGSIZE, std::generic_category(), "recvfrom");
        }
        if (is_from_us(client_address)) {
            log_line("dropped a datagram: it names this server as its sender");
            throw std::system_error(ELOOP, std::generic_category(), "recvfrom");
        }
        packet.resize(static_cast<std::size_t>(size));
        return {Incoming{.socket = {}, .packet = std::move(packet)}, client_address};
    }

    void shutdown_request(Incoming& request) override { close_request(request); }
    void close_request(Incoming& /*request*/) override {} // There was no connection.
    void forked() override {}                             // By this socket the child answers.

private:
    // Then it is forged: our answer would be our next request, and so on for ever. A server on all
    // addresses of this machine is at each of them, where its port is taken.
    bool is_from_us(const Address& sender) const {
        if (sender == server_address) return true;
        const in_port_t port = server_address.port();
        if (sender.port() != port || server_address != Address("0.0.0.0", port)) return false;
        const Fd probe(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
        return ::bind(probe.number(), sender.get(), sender.size()) == -1 && errno == EADDRINUSE;
    }
};
