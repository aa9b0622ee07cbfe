// A server that answers each line in upper case: the smallest one on TCP.
#include "open.hpp"
#include "request.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"

#include <csignal>
#include <iostream>
#include <string>

class UpperHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        for (std::string line; !(line = rfile.readline(longest_line)).empty();)
            wfile.write(upper_case(line));
    }
};

int main() {
    std::signal(SIGPIPE, SIG_IGN);
    Open<TCPServer> server(Address("127.0.0.1", 0), make_handler<UpperHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
}
