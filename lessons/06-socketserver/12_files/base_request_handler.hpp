// What is done about one request.
#pragma once

#include "address.hpp"
#include "incoming.hpp"

#include <functional>
#include <memory>

class BaseServer;

// Derive from it, and say in handle() what is to be done. A server makes one for each request: for
// a connection with a hundred messages it is one, and handle() is called once.
class BaseRequestHandler {
public:
    BaseRequestHandler(Incoming& incoming, const Address& address, BaseServer& its_server)
        : request(incoming), client_address(address), server(its_server) {}
    BaseRequestHandler(const BaseRequestHandler&) = delete;
    BaseRequestHandler& operator=(const BaseRequestHandler&) = delete;
    virtual ~BaseRequestHandler() = default;

    Incoming& request;
    const Address& client_address;
    BaseServer& server;

    // Python's constructor does this. Ours cannot: while the base is made, handle() is the base's.
    // Where setup() throws nothing follows; after handle() comes finish(), whatever has happened.
    void run() {
        setup();
        try {
            handle();
        } catch (...) {
            finish();
            throw;
        }
        finish();
    }

protected:
    virtual void setup() {}
    virtual void handle() {}
    virtual void finish() {}
};

// In Python a class can be called, and makes an object. In C++ a function does, such as the one
// below; or one of your own, where a handler is to know more than its request.
using RequestHandlerClass = std::function<std::unique_ptr<BaseRequestHandler>(
    Incoming& request, const Address& client_address, BaseServer& server)>;

template <typename Handler>
std::unique_ptr<BaseRequestHandler> make_handler(Incoming& request, const Address& client_address,
                                                 BaseServer& server) {
    return std::make_unique<Handler>(request, client_address, server);
}
