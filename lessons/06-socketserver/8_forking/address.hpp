// Where somebody can be reached.
#pragma once

#include "listen_on.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>
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

    // A path in the file system. Throws std::invalid_argument where it does not fit: to cut it
    // would make another path of it.
    static Address at_path(const std::string& path) {
        sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
        if (path.empty() || path.size() >= sizeof local.sun_path)
            throw std::invalid_argument(
                "cannot use the path \"" + path + "\": it has " + std::to_string(path.size()) +
                " bytes, and 1 to " + std::to_string(sizeof local.sun_path - 1) + " are possible");
        path.copy(static_cast<char*>(local.sun_path), path.size());
        Address address;
        std::memcpy(&address.storage_, &local, sizeof local);
        address.size_ = sizeof local;
        return address;
    }

    int family() const { return storage_.ss_family; }
    in_port_t port() const { return ntohs(internet().sin_port); }

    // Empty for a client that has not bound its socket: it has no name (unix(7)).
    std::string path() const {
        sockaddr_un local{};
        std::memcpy(&local, &storage_, sizeof local);
        const auto* path = static_cast<const char*>(local.sun_path);
        return size_ > sizeof local.sun_family
                   ? std::string(path, strnlen(path, sizeof local.sun_path))
                   : "";
    }

    // The way to write it in a log: 127.0.0.1:4000, or a path.
    std::string text() const {
        if (family() == AF_INET) return to_text(internet());
        return path().empty() ? "nobody" : path();
    }

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
