// A caller by UDP: whatever they say is a datagram, and so is every answer.
#pragma once

#include "caller.hpp"
#include "owned_fd.hpp"
#include "server.hpp"
#include "story.hpp"
#include "timeout_scale.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

// Replay shows how to call by TCP, and so the stories call this one a sender.
class Sender {
public:
    Sender(Server& server, const std::string& name)
        : server_(server), name_("sender " + name),
          fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in theirs{};
        theirs.sin_family = AF_INET;
        theirs.sin_port = htons(static_cast<std::uint16_t>(server.port()));
        theirs.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        must(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&theirs), sizeof theirs),
             "connect");
    }

    void send(std::string_view datagram) {
        server_.story().tell(name_, "sends " + in_quotes(datagram), "a datagram");
        must(::send(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL), "send");
    }

    // The next datagram. Over the loopback none gets lost on the way.
    std::string hear(Seconds within = usual) {
        pollfd news{fd_.get(), POLLIN, 0};
        const int ready = ::poll(&news, 1, scaled(within).milliseconds());
        must(ready, "poll");
        if (ready == 0)
            server_.fail(Outcome::timeout_none,
                         name_ + " waited " + spelled(within) + " for a datagram, in vain");
        std::string datagram(65'536, '\0');
        const ssize_t size = ::recv(fd_.get(), datagram.data(), datagram.size(), 0);
        must(size, "recv");
        datagram.resize(static_cast<std::size_t>(size));
        server_.story().tell(name_, "receives " + in_quotes(datagram), "a datagram");
        return datagram;
    }

    void expect(std::string_view datagram) {
        const std::string heard = hear();
        if (heard != datagram)
            server_.fail(Outcome::wrong_bytes, name_ + " expected the datagram " +
                                                   in_quotes(datagram) + " and received " +
                                                   in_quotes(heard));
    }

private:
    // Nobody at the port is the server's fault, all else is ours.
    void must(ssize_t result, const char* call) {
        if (result != -1) return;
        if (errno == ECONNREFUSED)
            server_.fail(Outcome::refused, name_ + " was refused: nobody hears at this port");
        throw std::system_error(errno, std::generic_category(), call);
    }

    Server& server_;
    const std::string name_;
    OwnedFd fd_;
};
