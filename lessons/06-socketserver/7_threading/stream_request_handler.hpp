// A handler for a connection, which it reads and writes like files.
#pragma once

#include "base_request_handler.hpp"
#include "check.hpp"
#include "patience.hpp"
#include "readiness.hpp"
#include "socket_file.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <system_error>

class StreamRequestHandler : public BaseRequestHandler {
public:
    using BaseRequestHandler::BaseRequestHandler;

    // Python's defaults. A derived class changes them in its constructor, or before it calls
    // setup().
    int rbufsize = -1;              // how much is read ahead; -1: a usual amount
    int wbufsize = 0;               // how much is collected before it is sent; 0: nothing
    std::optional<Seconds> timeout; // for each call of rfile and wfile

    // Small pieces leave at once. With wbufsize 0, which makes small ones, each costs a packet.
    bool disable_nagle_algorithm = false;

    Patience patience;
    SocketReader rfile{request.socket, patience};
    SocketWriter wfile{request.socket, patience};

protected:
    void setup() override {
        if (disable_nagle_algorithm) {
            const int yes = 1;
            const int number = request.socket.number();
            check(::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "setsockopt");
        }
        if (rbufsize >= 0) rfile.buffer_size = static_cast<std::size_t>(rbufsize);
        wfile.buffer_size = wbufsize < 0 ? 8'192 : static_cast<std::size_t>(wbufsize);
        patience.timeout = timeout;
    }

    // What handle() has written and not flushed leaves now; or the caller is lost, and then there
    // is nobody to tell.
    void finish() override {
        try {
            wfile.flush();
        } catch (const std::system_error&) {
            return;
        }
    }
};
