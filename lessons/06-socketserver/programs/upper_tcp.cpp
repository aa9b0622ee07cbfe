// A server that answers each line in upper case, without the blanks around it: the smallest one on
// TCP. (The example in Python's documentation answers one line, and its end is the end of the
// connection. Here there may be many, so each answer ends with a newline.)
#include "open.hpp"
#include "request.hpp"
#include "stream_request_handler.hpp"
#include "strip.hpp"
#include "tcp_server.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

class UpperHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        for (std::string line; !(line = rfile.readline(longest_line)).empty();)
            wfile.write(upper_case(strip(line)) + '\n');
    }
};

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Open<TCPServer> server(Address("127.0.0.1", 0), make_handler<UpperHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
} catch (const std::exception& error) {
    std::cerr << "cannot serve: " << error.what() << '\n';
    return EXIT_FAILURE;
}
