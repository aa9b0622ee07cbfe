// 06 socketserver, step 7: a thread for each request.
//
// Idea     ThreadingMixIn<TCPServer> is a TCPServer with another process_request(): it starts a
//          thread and returns. Handlers do not notice. So lesson 03 becomes one word in front of a
//          server.
// Run it   ./lab run 06/7    and several times    nc 127.0.0.1 PORT
// See      All are served at once, each by a thread of its own: who says `who` is told which.
// Was      In step 4 the second caller waited until the first had left.
// Broken   Whoever crashes takes all with them: threads share their memory.
// New      threading_mix_in.hpp
// Changed  open.hpp

#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"
#include "threading_mix_in.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

using ThreadingTCPServer = ThreadingMixIn<TCPServer>;

class UpperHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void setup() override {
        timeout = Seconds(10);
        StreamRequestHandler::setup();
    }

    void handle() override {
        wfile.write("Say it, I shout it\n");
        for (std::string line; !(line = rfile.readline(longest_line)).empty() && line != "exit\n";)
            if (line == "who\n")
                wfile.write("thread " + std::to_string(::gettid()) + '\n');
            else
                wfile.write(upper_case(line));
    }
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Open<ThreadingTCPServer> server(Address("127.0.0.1", port), make_handler<UpperHandler>);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
