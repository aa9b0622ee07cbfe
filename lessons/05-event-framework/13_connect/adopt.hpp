// A connection that we have made becomes a protocol's.
#pragma once

#include "fd.hpp"
#include "protocol.hpp"
#include "reactor.hpp"
#include "socket_transport.hpp"

#include <netinet/in.h>

#include <memory>
#include <utility>

// From here on there is no difference between who called and who was called.
inline void adopt(Reactor& reactor, Fd socket, const sockaddr_in& peer,
                  std::unique_ptr<Protocol> protocol) {
    auto owned =
        std::make_unique<SocketTransport>(reactor, std::move(socket), peer, std::move(protocol));
    SocketTransport& transport = *owned;
    reactor.watch(std::move(owned), {.reading = true});
    transport.begin();
}
