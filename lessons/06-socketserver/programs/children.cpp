// Each request has a process, and is told its number. The port is the kernel's choice.
#include "family.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

class ChildHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        const std::string line = rfile.readline(1024);
        wfile.write("process " + std::to_string(::getpid()) + ": " + line);
    }
};

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Open<ForkingTCPServer> server(Address("127.0.0.1", 0), make_handler<ChildHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
} catch (const std::exception& error) {
    std::cerr << "cannot serve: " << error.what() << '\n';
    return EXIT_FAILURE;
}
