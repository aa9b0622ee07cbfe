// Greets each client with the server's address and the date, and answers lines until `exit`.
#include "family.hpp"
#include "make_service.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

class GreetingHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        const Address& address = dynamic_cast<const TCPServer&>(server).server_address;
        wfile.write("Connection " + address.text() + " at " + date_now() + " succeed!\n");
        for (std::string line; !(line = rfile.readline(1024)).empty() && line != "exit\n";)
            wfile.write(line);
    }
};

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Open<ThreadingTCPServer> server(Address("127.0.0.1", 0), make_handler<GreetingHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
} catch (const std::exception& error) {
    std::cerr << "cannot serve: " << error.what() << '\n';
    return EXIT_FAILURE;
}
