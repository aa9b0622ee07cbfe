// The reactor, and what you ask of it: to listen.
#pragma once

#include "factory.hpp"
#include "listening_port.hpp"
#include "reactor.hpp"

#include <memory>
#include <string>
#include <utility>

class EventLoop : public Reactor {
public:
    // Listens on `host` and `port`; 0 is any port that is free. The loop owns the listening port. What
    // listen_on() throws says which address, and why.
    ListeningPort& listen(Factory& factory, const std::string& host, in_port_t port) {
        auto owned = std::make_unique<ListeningPort>(*this, factory, host, port);
        ListeningPort& listening = *owned;
        watch(std::move(owned), {.reading = true});
        return listening;
    }
};
