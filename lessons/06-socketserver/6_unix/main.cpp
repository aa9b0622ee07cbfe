// 06 socketserver, step 6: a path instead of a port.
//
// Idea     Who is on the same machine can call a path. Both kinds of server go there: one with
//          connections, one with datagrams. Their fileno() lets one poll() watch both.
// Run it   ./lab run 06/6    and    nc -U upper.stream    and    nc -U -u upper.datagram
// See      Only your own user may connect: ls -l. Kill the server with SIGKILL, and start it again:
//          the path of the dead one is removed, that of a living one is not.
// Was      A port is free when its owner dies. A path stays.
// Broken   A caller on the one path keeps those on the other waiting. Step 7.
// New      socket_path.hpp, unix_server.hpp
// Changed  address.hpp

#include "datagram_request_handler.hpp"
#include "log.hpp"
#include "open.hpp"
#include "readiness.hpp"
#include "request.hpp"
#include "standard_streams.hpp"
#include "stream_request_handler.hpp"
#include "unix_server.hpp"

#include <poll.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

// Its base says how it reads and writes: DatagramRequestHandler or StreamRequestHandler.
template <typename Base>
class UpperHandler final : public Base {
public:
    using Base::Base;

protected:
    void handle() override {
        for (std::string line; !(line = this->rfile.readline(longest_line)).empty();)
            this->wfile.write(upper_case(line));
    }
};

// A datagram client that wants an answer must bind its own socket to a path. On the network the
// kernel gives a client an address when it sends; at a path it does not, and who has no address
// cannot be answered: then sendto() says ENOTCONN.
int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const std::string path = argc > 1 ? argv[1] : "upper";
    Open<UnixStreamServer> stream(Address::at_path(path + ".stream"),
                                  make_handler<UpperHandler<StreamRequestHandler>>);
    Open<UnixDatagramServer> datagram(Address::at_path(path + ".datagram"),
                                      make_handler<UpperHandler<DatagramRequestHandler>>);
    std::cout << "listening on " << stream.server_address.text() << " and "
              << datagram.server_address.text() << std::endl;
    std::array<pollfd, 2> asked{{{.fd = stream.fileno(), .events = POLLIN, .revents = 0},
                                 {.fd = datagram.fileno(), .events = POLLIN, .revents = 0}}};
    while (true) {
        is_any_ready(asked, Seconds(3600));
        if (asked[0].revents != 0) stream.handle_request();
        if (asked[1].revents != 0) datagram.handle_request();
    }
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
