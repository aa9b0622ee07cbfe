// A server that answers each datagram in upper case.
#include "datagram_request_handler.hpp"
#include "open.hpp"
#include "request.hpp"
#include "udp_server.hpp"

#include <iostream>

class UpperHandler final : public DatagramRequestHandler {
public:
    using DatagramRequestHandler::DatagramRequestHandler;

protected:
    void handle() override { wfile.write(upper_case(rfile.read())); }
};

int main() {
    Open<UDPServer> server(Address("127.0.0.1", 0), make_handler<UpperHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
}
