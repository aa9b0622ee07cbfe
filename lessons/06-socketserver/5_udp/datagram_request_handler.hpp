// A handler for a datagram, which it reads and writes like files.
#pragma once

#include "base_request_handler.hpp"
#include "base_server.hpp"
#include "check.hpp"
#include "line_size.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

// What a SocketReader is for a connection: all that will come is there already.
class PacketReader {
public:
    static constexpr std::size_t any = std::string::npos;

    explicit PacketReader(std::string_view packet) : left_(packet) {}

    std::string readline(std::size_t limit = any) { return read(line_size(left_, limit)); }
    std::string read(std::size_t count = any) {
        std::string taken(left_.substr(0, count));
        left_.remove_prefix(taken.size());
        return taken;
    }
    std::string read1(std::size_t count) { return read(count); }

private:
    std::string_view left_;
};

// Collects the answer. It has to go into one datagram, and so it can only have so many bytes.
class PacketWriter {
public:
    static constexpr std::size_t longest = 65'507; // 65,535 without the heads of IPv4 and UDP

    // Throws std::system_error when it does not fit.
    void write(std::string_view bytes) {
        if (written_.size() + bytes.size() > longest)
            throw std::system_error(EMSGSIZE, std::generic_category(), "write to a datagram");
        written_ += bytes;
    }
    void flush() {} // It leaves when all is written.

    const std::string& written() const { return written_; }

private:
    std::string written_;
};

class DatagramRequestHandler : public BaseRequestHandler {
public:
    using BaseRequestHandler::BaseRequestHandler;

    PacketReader rfile{request.packet};
    PacketWriter wfile;

protected:
    // One datagram back, even if nothing was written. Where it finds no room it is dropped, as by
    // any router on the way; we do not wait.
    void finish() override {
        const std::string& answer = wfile.written();
        check(::sendto(server.fileno(), answer.data(), answer.size(), MSG_DONTWAIT,
                       client_address.get(), client_address.size()),
              "sendto");
    }
};
