// Servers at a path, for callers on the same machine.
#pragma once

#include "socket_path.hpp"
#include "tcp_server.hpp"
#include "udp_server.hpp"

#include <sys/types.h>

// Either of the two servers, bound to a path. Python needs one line for each of them, and leaves
// the path and its permissions to you.
template <typename Server>
class AtPath : public Server {
public:
    using Server::Server;

    mode_t permissions = 0600; // less the umask: our own user, and nobody else

    void server_bind() override { path_.bind(this->fileno(), this->server_address, permissions); }
    void server_activate() override {
        Server::server_activate();
        path_.is_alive();
    }
    void server_close() override {
        path_.remove();
        Server::server_close();
    }

private:
    SocketPath path_;
};

using UnixStreamServer = AtPath<TCPServer>;
using UnixDatagramServer = AtPath<UDPServer>;
