// Exercise 06/doorman: everybody gets in. README.md says what to do.
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
#include <string>
#include <utility>

// Lets nobody in who has been let in `limit` times within the last `time`.
class Doorman : public ThreadingMixIn<TCPServer> {
public:
    Doorman(const Address& address, RequestHandlerClass handler_class, int limit, Seconds time)
        : ThreadingMixIn(address, std::move(handler_class)), limit_(limit), time_(time) {}

    // TODO(you): nobody looks at these two yet.
    const int limit_;
    const Seconds time_;
};

class EchoHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        wfile.write("come in\n");
        for (std::string line; !(line = rfile.readline(1024)).empty();)
            wfile.write(line);
    }
};

std::atomic<BaseServer*> the_server = nullptr;
extern "C" void stop(int /*number*/) {
    BaseServer* server = the_server;
    server->stop_soon();
    server->hang_up();
}

// Arguments: so many calls, in so many seconds.
int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const int limit = argc > 1 ? std::stoi(argv[1]) : 3;
    const Seconds time(argc > 2 ? std::stod(argv[2]) : 60);
    Open<Doorman> server(Address("127.0.0.1", 0), make_handler<EchoHandler>, limit, time);
    the_server = &server;
    std::signal(SIGTERM, stop);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
