// Names to addresses.
#pragma once

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

// The IPv4 address of a host. It may take half a minute: getaddrinfo() asks a server somewhere,
// waits, and asks the next one. There is no call that does this without waiting; so it is work for
// a thread. Throws std::runtime_error when there is no such name.
inline sockaddr_in resolve(const std::string& host, in_port_t port) {
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
    if (error != 0)
        throw std::runtime_error("no address for \"" + host + "\": " + gai_strerror(error));
    sockaddr_in address{};
    std::memcpy(&address, list->ai_addr, sizeof address);
    address.sin_port = htons(port);
    return address;
}
