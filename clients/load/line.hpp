// One line to an echo server: says bytes of the pattern, and compares every byte that comes back.
#pragma once

#include "check.hpp"
#include "fd.hpp"
#include "pattern.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

// What a server did that ends its part in the run. The text goes into the report.
class Lost : public std::runtime_error {
    using runtime_error::runtime_error;
};

class Line {
public:
    // `number` chooses the place in the pattern and the caller's own address: with one address,
    // 28,000 lines to one port are all that there can be, and closed ones count for a minute. Who is
    // `narrow` has small buffers in the kernel, so that a server notices when they do not read.
    Line(const Pattern& pattern, in_port_t port, unsigned number, bool narrow = false)
        : pattern_(&pattern), start_(number * 7'919ULL % Pattern::period) {
        set(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); // connect() is to choose the port, not bind().
        set(IPPROTO_TCP, TCP_NODELAY, 1);            // What is due is on its way at once.
        if (narrow) set(SOL_SOCKET, SO_RCVBUF, 8192);
        const timeval patience{.tv_sec = 5, .tv_usec = 0};
        check(::setsockopt(number_of(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience),
              "setsockopt");
        const sockaddr_in own = loopback(2 + number % 250, 0);
        check(::bind(number_of(), reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
        const sockaddr_in server = loopback(1, port);
        if (::connect(number_of(), reinterpret_cast<const sockaddr*>(&server), sizeof server) == -1)
            throw Lost(errno == EINPROGRESS ? "takes no caller within 5 s"
                                            : "refuses a caller: " + why());
    }

    // From now on it owes `length` bytes more to the server.
    void say(std::size_t length) {
        owed_ += length;
        speak();
    }

    // Sends what it owes and what goes without waiting.
    void speak() {
        while (owed_ > 0) {
            const auto text = pattern_->at(start_ + said_, std::min(owed_, Pattern::longest));
            const auto count =
                ::send(number_of(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (count == -1 && errno == EAGAIN) return;
            if (count == -1) throw Lost("closes the line: send: " + why());
            said_ += static_cast<std::uint64_t>(count);
            owed_ -= static_cast<std::size_t>(count);
        }
    }

    // Reads once. False: the server has closed the line, and may, since everything was answered.
    bool hear(std::size_t most = Pattern::longest) {
        static std::vector<char> bytes(Pattern::longest);
        const auto count = ::recv(number_of(), bytes.data(), most, MSG_DONTWAIT);
        if (count == -1 && errno == EAGAIN) return true;
        if (count == -1) throw Lost("closes the line: recv: " + why());
        if (count == 0 && ended_ && heard_ == said_) return false;
        if (count == 0) throw Lost("closes the line after " + bytes_heard());
        const std::string_view heard(bytes.data(), static_cast<std::size_t>(count));
        if (heard != pattern_->at(start_ + heard_, heard.size()))
            throw Lost("answers wrongly: other bytes than were sent, after " + bytes_heard());
        heard_ += heard.size();
        if (heard_ > said_) throw Lost("answers wrongly: more bytes than were sent");
        return true;
    }

    void say_no_more() {
        check(::shutdown(number_of(), SHUT_WR), "shutdown");
        ended_ = true;
    }

    int number_of() const { return socket_.number(); }
    std::uint64_t said() const { return said_; }
    std::uint64_t heard() const { return heard_; }
    std::size_t owed() const { return owed_; }
    std::uint64_t unanswered() const { return said_ + owed_ - heard_; }

private:
    void set(int level, int option, int value) const {
        check(::setsockopt(number_of(), level, option, &value, sizeof value), "setsockopt");
    }

    static sockaddr_in loopback(unsigned last, in_port_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(0x7f000000U + last);
        address.sin_port = htons(port);
        return address;
    }

    static std::string why() { return std::generic_category().message(errno); }
    std::string bytes_heard() const { return std::to_string(heard_) + " bytes"; }

    const Pattern* pattern_;
    std::uint64_t start_; // in the pattern
    std::uint64_t said_ = 0;
    std::uint64_t heard_ = 0;
    std::size_t owed_ = 0;
    bool ended_ = false;
    Fd socket_{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
};
