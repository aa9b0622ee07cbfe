// Exercise 06/museum: room for two. README.md says what is wrong with it.
#include "log.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"
#include "threading_mix_in.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

class Museum : public ThreadingMixIn<TCPServer> {
public:
    using ThreadingMixIn::ThreadingMixIn;

    void come_in() { ++inside_; }
    void go_out() { --inside_; }

protected:
    bool verify_request(const Incoming& /*request*/, const Address& /*client_address*/) override {
        return inside_ < 2;
    }

    void process_request(Incoming& request, const Address& client_address) override {
        log_line("a visitor from ", client_address.text());
        TCPServer::process_request(request, client_address);
    }

private:
    std::atomic<int> inside_ = 0;
};

// Asks a visitor for their name, and shows them what they want to see.
class Guide final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void setup() override {
        StreamRequestHandler::setup();
        museum().come_in();
        wfile.write("your name?\n");
        name_ = rfile.readline(100);
        if (!name_.ends_with('\n')) throw std::runtime_error("a visitor without a name");
        name_.pop_back();
    }

    void handle() override {
        const std::string thing = rfile.readline(1000);
        if (thing == "touch\n") throw std::runtime_error(name_ + " has touched something");
        wfile.write(name_ + " sees " + thing);
    }

    void finish() override {
        museum().go_out();
        StreamRequestHandler::finish();
    }

private:
    Museum& museum() { return static_cast<Museum&>(server); }

    std::string name_;
};

std::atomic<BaseServer*> the_server = nullptr;
extern "C" void stop(int /*number*/) {
    BaseServer* server = the_server;
    server->stop_soon();
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Open<Museum> server(Address("127.0.0.1", 0), make_handler<Guide>);
    the_server = &server;
    std::signal(SIGTERM, stop);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
