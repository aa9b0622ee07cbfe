// 06 socketserver, step 9: the end.
//
// Idea     A bell wakes the server: shutdown() rings, and serve_forever() returns at once, however
//          long it wants to sleep. A second bell is for the handlers, which sleep elsewhere. And
//          who would wait for themselves is told so.
// Run it   ./lab run 06/9    and    nc 127.0.0.1 PORT    and    kill PID
// See      The server sleeps for an hour, and ends at once when you say `stop`, or kill it. Who is
//          on the line sees the end of the stream. Say `shutdown`: an error, and no deadlock.
// Was      Steps 1 to 8 looked up twice a second, in vain all their lives, and half a second late.
// Broken   When no descriptor is left for a caller, it spins. Step 10.
// New      bell.hpp
// Changed  base_server.hpp, lookout.hpp, patience.hpp, shift.hpp, socket_file.hpp,
//          stream_request_handler.hpp

#include "log.hpp"
#include "number.hpp"
#include "open.hpp"
#include "request.hpp"
#include "say_where.hpp"
#include "standard_streams.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

class UpperHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        wfile.write("Say it, I shout it\n");
        for (std::string line; !(line = rfile.readline(longest_line)).empty() && line != "exit\n";)
            if (line == "shutdown\n")
                server.shutdown(); // A mistake: we run in serve_forever(). It throws.
            else if (line == "stop\n")
                server.stop_soon();
            else
                wfile.write(upper_case(line));
    }
};

// A signal handler has no parameter for it. Both calls only write to a bell.
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
    Open<TCPServer> server(Address("127.0.0.1", port), make_handler<UpperHandler>);
    the_server = &server;
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
    say_where(server.server_address.text(), port != 0);
    server.serve_forever(Seconds(3600));
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
