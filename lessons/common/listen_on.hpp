// Earned in lesson 01, step 4: a socket that listens.
#pragma once

#include "check.hpp"
#include "fd.hpp"
#include "say_where.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <string>

inline std::string to_text(const sockaddr_in& address) {
    std::array<char, INET_ADDRSTRLEN> host{};
    inet_ntop(AF_INET, &address.sin_addr, host.data(), host.size());
    return std::string(host.data()) + ':' + std::to_string(ntohs(address.sin_port));
}

// Numbers only, and "localhost": to ask a name server could take half a minute.
inline sockaddr_in address_of(const std::string& host, in_port_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const char* number = host == "localhost" ? "127.0.0.1" : host.c_str();
    if (inet_pton(AF_INET, number, &address.sin_addr) != 1)
        throw std::invalid_argument("cannot listen on \"" + host +
                                    "\": an address is four numbers, such as 127.0.0.1 (this "
                                    "machine only) or 0.0.0.0 (all its networks)");
    return address;
}

// Listens on `host`, an IPv4 address, and on `port`; 0 means any port that is free. Prints
// `listening on HOST:PORT` on standard output once callers can connect. Throws std::runtime_error
// with the address and the reason. SO_REUSEADDR, never SO_REUSEPORT: that would let a second
// server in without a word. Close-on-exec; `flags` may add SOCK_NONBLOCK.
inline Fd listen_on(const std::string& host, in_port_t port, int flags = 0) try {
    sockaddr_in address = address_of(host, port);
    Fd listener(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "socket"));
    const int yes = 1;
    check(::setsockopt(listener.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes),
          "setsockopt");
    // Else the kernel keeps a small answer back until the caller's has acknowledged what went out
    // right before it, for up to 40 ms (Nagle's algorithm, RFC 896). Accepted sockets inherit this.
    check(::setsockopt(listener.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes),
          "setsockopt");
    socklen_t size = sizeof address;
    auto* where = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener.number(), where, size), "bind");
    check(::listen(listener.number(), SOMAXCONN), "listen");
    check(::getsockname(listener.number(), where, &size), "getsockname");
    say_where(to_text(address), port != 0);
    return listener;
} catch (const std::system_error& error) {
    std::string why = error.what();
    if (error.code() == std::errc::address_in_use)
        why += ". Stop the other program, or choose another --port";
    if (error.code() == std::errc::permission_denied)
        why += ". Ports below 1024 are for root: choose another --port";
    throw std::runtime_error("cannot listen on " + host + ':' + std::to_string(port) + ": " + why);
}
