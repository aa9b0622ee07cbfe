// A server in the background: each request has a thread, and is told its number. When three have
// been served, the main thread shuts the server down.
#include "family.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <semaphore>
#include <string>
#include <thread>

std::counting_semaphore<> served{0};

class ThreadHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        const std::string line = rfile.readline(1024);
        wfile.write("thread " + std::to_string(::gettid()) + ": " + line);
    }
    void finish() override {
        StreamRequestHandler::finish();
        served.release();
    }
};

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    Open<ThreadingTCPServer> server(Address("127.0.0.1", 0), make_handler<ThreadHandler>);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    std::thread background([&server] { server.serve_forever(); });
    for (int i = 0; i < 3; ++i)
        served.acquire();
    server.shutdown();
    background.join();
    std::cout << "three were served, and the server is shut down\n";
} catch (const std::exception& error) {
    std::cerr << "cannot serve: " << error.what() << '\n';
    return EXIT_FAILURE;
}
