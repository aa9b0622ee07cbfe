// Echoes at a path: `unix_echo stream PATH` with connections, `unix_echo datagram PATH` with
// datagrams.
#include "datagram_request_handler.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"
#include "unix_server.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

template <typename Base>
class EchoHandler final : public Base {
public:
    using Base::Base;

protected:
    void handle() override {
        for (std::string bytes; !(bytes = this->rfile.read1(1024)).empty();)
            this->wfile.write(bytes);
    }
};

template <typename Server, typename Base>
void serve(const std::string& path) {
    Open<Server> server(Address::at_path(path), make_handler<EchoHandler<Base>>);
    std::cout << "listening on " << path << std::endl;
    server.serve_forever();
}

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const std::string kind = argc == 3 ? argv[1] : "";
    if (kind == "stream")
        serve<UnixStreamServer, StreamRequestHandler>(argv[2]);
    else if (kind == "datagram")
        serve<UnixDatagramServer, DatagramRequestHandler>(argv[2]);
    std::cerr << "usage: unix_echo stream|datagram PATH\n";
    return 2;
} catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return EXIT_FAILURE;
}
