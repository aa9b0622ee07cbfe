// 06 socketserver, step 3: the request handler.
//
// Idea     What is done with a request moves into a class of its own. For each request the server
//          makes an object of it, and calls setup(), handle() and finish(). Now a server is a way
//          to bring requests, a handler is what to do with one, and each can be exchanged without
//          the other.
// Run it   ./lab run 06/3    and    nc 127.0.0.1 PORT    and    ./lab run 06/3 -- eager
// See      Say a line, and hear it in upper case. Say `throw`: handle() ends early, but finish() is
//          called. With `eager` you see why a constructor cannot call handle().
// Was      In step 2 the server itself did the work.
// Broken   handle() makes one recv() and hopes that it brings the whole line.
// New      base_request_handler.hpp
// Changed  base_server.hpp, tcp_server.hpp

#include "base_request_handler.hpp"
#include "check.hpp"
#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "tcp_server.hpp"

#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

class UpperHandler final : public BaseRequestHandler {
public:
    using BaseRequestHandler::BaseRequestHandler;

protected:
    void setup() override { log_line("setup"); }

    void handle() override {
        log_line("handle");
        std::string line(1024, '\0');
        const auto count = ::recv(request.socket.number(), line.data(), line.size(), 0);
        line.resize(static_cast<std::size_t>(check(count, "recv")));
        if (line == "throw\n") throw std::runtime_error("the handler was asked to throw");
        const std::string answer = upper_case(line);
        check(::send(request.socket.number(), answer.data(), answer.size(), 0), "send");
    }

    void finish() override { log_line("finish"); }
};

// Python's BaseRequestHandler calls handle() in its constructor, and the handler of the derived
// class runs. Here is the same in C++.
class EagerBase {
public:
    EagerBase() { handle(); } // NOLINT(*VirtualCall): that is what it shows.
    EagerBase(const EagerBase&) = delete;
    EagerBase& operator=(const EagerBase&) = delete;
    virtual ~EagerBase() = default;

    virtual void handle() { std::cout << "EagerBase::handle\n"; }
};

class EagerHandler final : public EagerBase {
public:
    void handle() override { std::cout << "EagerHandler::handle\n"; }
};

// The object becomes an EagerHandler when the constructor of its base has returned. Before, it is
// an EagerBase and nothing else: a function of the derived class could use members that do not
// exist yet.
void be_eager() {
    std::cout << "called by the constructor: ";
    EagerHandler handler;
    std::cout << "called after it: ";
    handler.handle();
}

int main(int argc, char** argv) try {
    if (argc > 1 && std::string(argv[1]) == "eager") {
        be_eager();
        return EXIT_SUCCESS;
    }
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv, "[PORT | eager]");
    Open<TCPServer> server(Address("127.0.0.1", port), make_handler<UpperHandler>);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
