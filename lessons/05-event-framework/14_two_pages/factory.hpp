// Who makes the protocols.
#pragma once

#include "protocol.hpp"

#include <netinet/in.h>

#include <memory>

// One for all connections. What lasts longer than one of them, and what they share, belongs here.
class Factory {
public:
    Factory() = default;
    Factory(const Factory&) = delete;
    Factory& operator=(const Factory&) = delete;
    virtual ~Factory() = default;

    // A protocol for whoever is at this address. None: the connection is closed.
    virtual std::unique_ptr<Protocol> build_protocol(const sockaddr_in& address) = 0;
};
