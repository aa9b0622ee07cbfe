// 06 socketserver, step 10: hooks.
//
// Idea     Some stations do nothing, and are there for you: verify_request() may refuse,
//          handle_error() is told what a handler has thrown, service_actions() is called at each
//          turn, handle_timeout() after a wait in vain. And a server that has no room for a request
//          rests.
// Run it   ./lab run 06/10    and    nc 127.0.0.1 PORT    and    nc -s 127.0.0.13 127.0.0.1 PORT
// See      Who calls from 127.0.0.13 is hung up on. Say `throw`: the error is counted, the server
//          lives. `errors` tells how many there were.
// Was      In step 9 a server at its limit of descriptors asked for one more again and again, with
//          all its processor.
// Broken   Each of the servers has one service, and one way to serve. Step 11 brings all together.
// New      shortage.hpp
// Changed  base_server.hpp, threading_mix_in.hpp

#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"
#include "threading_mix_in.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

class HookedServer : public ThreadingMixIn<TCPServer> {
public:
    HookedServer(const Address& address, RequestHandlerClass handler_class)
        : ThreadingMixIn(address, std::move(handler_class)) {
        max_threads = 100;
        allow_reuse_address = true;
    }

    int errors() const { return errors_; }

protected:
    // Before a thread is started: who is refused costs little.
    bool verify_request(const Incoming& /*request*/, const Address& client_address) override {
        return !client_address.text().starts_with("127.0.0.13:");
    }

    // Called in the thread of the request, and so by several at once.
    void handle_error(const Incoming& request, const Address& client_address,
                      const std::exception& error) override {
        ++errors_;
        ThreadingMixIn::handle_error(request, client_address, error);
    }

private:
    std::atomic<int> errors_ = 0;
};

class UpperHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        wfile.write("Say it, I shout it\n");
        for (std::string line; !(line = rfile.readline(longest_line)).empty() && line != "exit\n";)
            if (line == "throw\n")
                throw std::runtime_error("the handler was asked to throw");
            else if (line == "errors\n")
                wfile.write(std::to_string(dynamic_cast<HookedServer&>(server).errors()) + '\n');
            else
                wfile.write(upper_case(line));
    }
};

std::atomic<BaseServer*> the_server = nullptr;
extern "C" void stop(int /*number*/) {
    BaseServer* server = the_server;
    server->stop_soon();
    server->hang_up();
}

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Open<HookedServer> server(Address("127.0.0.1", port), make_handler<UpperHandler>);
    the_server = &server;
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
