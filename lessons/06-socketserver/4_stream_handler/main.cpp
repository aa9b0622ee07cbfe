// 06 socketserver, step 4: a connection like a file.
//
// Idea     A StreamRequestHandler has rfile and wfile. readline() brings a whole line, in whatever
//          pieces it comes; write() sends all of it. What lesson 01 has taught stands in two
//          classes.
// Run it   ./lab run 06/4    and    nc 127.0.0.1 PORT
// See      Say some lines, and `exit`. Say nothing for ten seconds, and you are hung up on.
// Was      In step 3 a line that came in two pieces was two lines, and a silent caller stayed for
//          ever.
// Broken   While one caller is on the line, all others wait. Step 7.
// New      line_size.hpp, patience.hpp, socket_file.hpp, stream_request_handler.hpp

#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

class UpperHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void setup() override {
        timeout = Seconds(10);
        StreamRequestHandler::setup();
    }

    // One connection, and as many lines as they like. An empty string is the end of the stream.
    void handle() override {
        wfile.write("Say it, I shout it\n");
        for (std::string line; !(line = rfile.readline(longest_line)).empty() && line != "exit\n";)
            wfile.write(upper_case(line));
    }
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Open<TCPServer> server(Address("127.0.0.1", port), make_handler<UpperHandler>);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
