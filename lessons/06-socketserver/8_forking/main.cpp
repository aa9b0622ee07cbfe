// 06 socketserver, step 8: a process for each request.
//
// Idea     ForkingMixIn<TCPServer> has one more process_request(): it starts a process. Lesson 04
//          is one word in front of a server, too. At most max_children live at a time; who comes
//          then waits.
// Run it   ./lab run 06/8    and several times    nc 127.0.0.1 PORT
// See      Who says `who` is told by which process they are served. `crash` ends that one and no
//          other.
// Was      In step 7 whoever crashed took all with them.
// Broken   kill PID ends the server in the middle of a sentence, whatever it is about to say.
// New      forking_mix_in.hpp, lookout.hpp
// Changed  base_server.hpp, tcp_server.hpp

#include "forking_mix_in.hpp"
#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

using ForkingTCPServer = ForkingMixIn<TCPServer>;

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
                wfile.write("process " + std::to_string(::getpid()) + '\n');
            else if (line == "crash\n")
                std::abort();
            else
                wfile.write(upper_case(line));
    }
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Open<ForkingTCPServer> server(Address("127.0.0.1", port), make_handler<UpperHandler>);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
