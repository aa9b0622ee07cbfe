// A server that answers each datagram in upper case, without the blanks around it.
#include "datagram_request_handler.hpp"
#include "open.hpp"
#include "request.hpp"
#include "strip.hpp"
#include "udp_server.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>

class UpperHandler final : public DatagramRequestHandler {
public:
    using DatagramRequestHandler::DatagramRequestHandler;

protected:
    void handle() override { wfile.write(upper_case(strip(rfile.read()))); }
};

int main() try {
    Open<UDPServer> server(Address("127.0.0.1", 0), make_handler<UpperHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
} catch (const std::exception& error) {
    std::cerr << "cannot serve: " << error.what() << '\n';
    return EXIT_FAILURE;
}
