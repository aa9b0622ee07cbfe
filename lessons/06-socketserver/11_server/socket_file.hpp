// A connection, read and written like a file. Python's socket.makefile() makes them.
#pragma once

#include "byte_queue.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "line_size.hpp"
#include "patience.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// Both sleep in poll() and nowhere else, as recv() and send() have no good way to say how long. A
// call between two sleeps does not wait (MSG_DONTWAIT): it brings some bytes, or says EAGAIN.

// Python's rfile. All its functions throw std::system_error.
class SocketReader {
public:
    static constexpr std::size_t any = std::string::npos;

    SocketReader(const Fd& socket, Patience& patience) : socket_(socket), patience_(patience) {}

    std::size_t buffer_size = 8'192; // so much is read ahead

    // The next line with its newline; at the end of the stream what there is, and then nothing. Not
    // more than `limit` bytes: without a limit the caller says how much memory we need.
    std::string readline(std::size_t limit = any) {
        const auto end = patience_.end();
        std::size_t seen = 0;
        while (kept_.size() < limit && kept_.front().find('\n', seen) == any) {
            seen = kept_.size();
            if (!hear(end)) break;
        }
        return take(line_size(kept_.front(), limit));
    }

    // So many bytes; fewer only at the end of the stream.
    std::string read(std::size_t count = any) {
        const auto end = patience_.end();
        while (kept_.size() < count && hear(end)) {
        }
        return take(count);
    }

    // What is there, so many bytes at most. Waits for the first one; nothing is the end of the
    // stream.
    std::string read1(std::size_t count) {
        if (kept_.empty()) hear(patience_.end());
        return take(count);
    }

private:
    // More bytes from the kernel; false: there are no more, or the server hangs up.
    bool hear(std::optional<Clock::time_point> end) {
        std::string piece(std::max<std::size_t>(buffer_size, 1), '\0');
        while (true) {
            patience_.wait("recv", socket_.number(), POLLIN, end);
            if (patience_.is_over()) return false;
            const auto count = ::recv(socket_.number(), piece.data(), piece.size(), MSG_DONTWAIT);
            if (count == -1 && (errno == EINTR || errno == EAGAIN)) continue;
            kept_.push({piece.data(), static_cast<std::size_t>(check(count, "recv"))});
            return count > 0;
        }
    }

    std::string take(std::size_t count) {
        std::string taken(kept_.front().substr(0, count));
        kept_.pop(taken.size());
        return taken;
    }

    const Fd& socket_;
    Patience& patience_;
    ByteQueue kept_; // heard, and not asked for yet
};

// Python's wfile. All its functions throw std::system_error.
class SocketWriter {
public:
    SocketWriter(const Fd& socket, Patience& patience) : socket_(socket), patience_(patience) {}

    std::size_t buffer_size = 0; // so much is collected before it is sent

    void write(std::string_view bytes) {
        if (buffer_size == 0) return send(bytes);
        kept_ += bytes;
        if (kept_.size() >= buffer_size) flush();
    }

    void flush() {
        send(kept_);
        kept_.clear();
    }

private:
    // All of it, however often the kernel takes a part (lesson 01, step 6).
    void send(std::string_view bytes) {
        const auto end = patience_.end();
        while (!bytes.empty()) {
            patience_.wait("send", socket_.number(), POLLOUT, end);
            const auto count = ::send(socket_.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
            if (count == -1 && (errno == EINTR || errno == EAGAIN)) continue;
            bytes.remove_prefix(static_cast<std::size_t>(check(count, "send")));
        }
    }

    const Fd& socket_;
    Patience& patience_;
    std::string kept_; // written, and not sent yet
};
