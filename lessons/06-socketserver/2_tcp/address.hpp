// Where somebody can be reached.
#pragma once

#include "listen_on.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

// An address as the kernel writes it, of whatever family; or nobody's.
class Address {
public:
    Address() = default;

    // Numbers, or "localhost". Throws std::invalid_argument. Port 0: any that is free.
    Address(const std::string& host, in_port_t port) : size_(sizeof(sockaddr_in)) {
        const sockaddr_in internet = address_of(host, port);
        std::memcpy(&storage_, &internet, sizeof internet);
    }

    int family() const { return storage_.ss_family; }
    in_port_t port() const { return ntohs(internet().sin_port); }

    // The way to write it in a log: 127.0.0.1:4000.
    std::string text() const { return family() == AF_INET ? to_text(internet()) : "nobody"; }

    // The same one? What the kernel leaves unused is 0.
    bool operator==(const Address& other) const {
        return std::memcmp(&storage_, &other.storage_, sizeof storage_) == 0;
    }

    // For calls that read an address: bind(), sendto().
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t size() const { return size_; }

    // For calls that write one, accept4() and getsockname(): they take the size of our memory, and
    // leave there how much of it they have used.
    auto filled_by(auto call) {
        size_ = sizeof storage_;
        return call(reinterpret_cast<sockaddr*>(&storage_), &size_);
    }

private:
    sockaddr_in internet() const {
        sockaddr_in address{};
        std::memcpy(&address, &storage_, sizeof address);
        return address;
    }

    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};
