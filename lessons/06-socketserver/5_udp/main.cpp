// 06 socketserver, step 5: datagrams.
//
// Idea     A UDPServer has other stations and the same order: a request is one datagram, and there
//          is no connection. The handler reads and writes like files again, so the same lines of
//          handle() do for both kinds of server.
// Run it   ./lab run 06/5    and    nc -u 127.0.0.1 PORT
// See      Each datagram is a request of its own, from its first byte to its last, also an empty
//          one. One that is too long is dropped, and the log says so.
// Was      In step 4 a request was a connection.
// Broken   Datagrams get lost, and nobody is told. That is UDP, and the caller has to ask again.
// New      datagram_request_handler.hpp, udp_server.hpp

#include "datagram_request_handler.hpp"
#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "udp_server.hpp"

#include <cstdlib>
#include <exception>
#include <string>

// Its base says how it reads and writes: DatagramRequestHandler or StreamRequestHandler.
template <typename Base>
class UpperHandler final : public Base {
public:
    using Base::Base;

protected:
    void handle() override {
        for (std::string line; !(line = this->rfile.readline(longest_line)).empty();)
            this->wfile.write(upper_case(line));
    }
};

int main(int argc, char** argv) try {
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Open<UDPServer> server(Address("127.0.0.1", port),
                           make_handler<UpperHandler<DatagramRequestHandler>>);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
