// 06 socketserver, step 2: a server on TCP.
//
// Idea     TCPServer says what BaseServer leaves open: a request is a connection, and accept()
//          brings it. Each station is a function of its own, so you change one and keep the others.
//          Such a function is called a template method: the order is fixed, the stations are yours.
// Run it   ./lab run 06/2    and    nc 127.0.0.1 PORT
// See      The server tells you the stations that your request has passed, and its log tells the
//          rest.
// Was      Step 1 served letters in a box.
// Broken   The work itself is a function of the server: to do something else you derive a server.
// New      open.hpp, tcp_server.hpp

#include "base_server.hpp"
#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "tcp_server.hpp"

#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

// Says the name of each station, and then does what TCPServer does there.
class Traced : public TCPServer {
public:
    using TCPServer::TCPServer;

    void server_bind() override {
        passed("server_bind");
        TCPServer::server_bind();
    }
    void server_activate() override {
        passed("server_activate");
        TCPServer::server_activate();
    }
    void server_close() override {
        passed("server_close");
        TCPServer::server_close();
    }

protected:
    std::pair<Incoming, Address> get_request() override {
        passed("get_request");
        return TCPServer::get_request();
    }
    bool verify_request(const Incoming& request, const Address& client_address) override {
        passed("verify_request");
        return TCPServer::verify_request(request, client_address);
    }
    void process_request(Incoming& request, const Address& client_address) override {
        passed("process_request");
        TCPServer::process_request(request, client_address);
    }
    void finish_request(Incoming& request, const Address& /*client_address*/) override {
        passed("finish_request");
        ::send(request.socket.number(), stations_.data(), stations_.size(), 0);
        stations_.clear();
    }
    void shutdown_request(Incoming& request) override {
        passed("shutdown_request");
        TCPServer::shutdown_request(request);
    }
    void close_request(Incoming& request) override {
        passed("close_request");
        TCPServer::close_request(request);
    }

private:
    void passed(const std::string& station) {
        log_line(station);
        stations_ += station + '\n';
    }

    std::string stations_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Open<Traced> server(Address("127.0.0.1", port));
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
