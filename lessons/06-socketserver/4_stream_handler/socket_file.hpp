// A connection, read and written like a file. Python's socket.makefile() makes them.
#pragma once

#include "byte_queue.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "readiness.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

// The time that a function has, all its system calls together.
class TimeLimit {
public:
    explicit TimeLimit(std::optional<Seconds> time) {
        if (time) end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(*time);
    }

    // Makes a call that does not wait (MSG_DONTWAIT), again and again until it has done something;
    // between two of them we sleep until the socket is ready. Throws std::system_error, whose code
    // is std::errc::timed_out where the time is over.
    size_t patiently(const char* name, const Fd& socket, short event, auto call) const {
        while (true) {
            const ssize_t count = call();
            if (count != -1) return static_cast<size_t>(count);
            if (errno != EINTR && errno != EAGAIN) check(-1, name);
            if (errno == EAGAIN && !is_ready(socket.number(), event, left()) &&
                left() <= Seconds(0))
                throw std::system_error(make_error_code(std::errc::timed_out), name);
        }
    }

private:
    Seconds left() const { return end_ ? Seconds(*end_ - Clock::now()) : Seconds(3600); }

    std::optional<Clock::time_point> end_;
};

// Python's rfile. All its functions throw std::system_error.
class SocketReader {
public:
    static constexpr std::size_t any = std::string::npos;

    explicit SocketReader(const Fd& socket) : socket_(socket) {}

    std::optional<Seconds> timeout;  // for one call of a function; nothing: for ever
    std::size_t buffer_size = 8'192; // what we ask the kernel for

    // The next line with its newline; at the end of the stream what there is, and then nothing. Not
    // more than `limit` bytes: without a limit the caller says how much memory we need.
    std::string readline(std::size_t limit = any) {
        const TimeLimit time(timeout);
        std::size_t seen = 0;
        while (kept_.front().find('\n', seen) == any && kept_.size() < limit) {
            seen = kept_.size();
            if (!hear(time)) return take(limit);
        }
        return take(std::min(limit, kept_.front().find('\n') + 1));
    }

    // So many bytes; fewer only at the end of the stream.
    std::string read(std::size_t count = any) {
        const TimeLimit time(timeout);
        while (kept_.size() < count && hear(time)) {
        }
        return take(count);
    }

private:
    // More bytes from the kernel; false: there are no more.
    bool hear(const TimeLimit& time) {
        std::string piece(std::max<std::size_t>(buffer_size, 1), '\0');
        const auto count = time.patiently("recv", socket_, POLLIN, [&] {
            return ::recv(socket_.number(), piece.data(), piece.size(), MSG_DONTWAIT);
        });
        kept_.push(std::string_view(piece).substr(0, count));
        return count > 0;
    }

    std::string take(std::size_t count) {
        const std::string taken(kept_.front().substr(0, count));
        kept_.pop(taken.size());
        return taken;
    }

    const Fd& socket_;
    ByteQueue kept_; // heard, and not asked for yet
};

// Python's wfile. All its functions throw std::system_error.
class SocketWriter {
public:
    explicit SocketWriter(const Fd& socket) : socket_(socket) {}

    std::optional<Seconds> timeout; // for one call of a function; nothing: for ever
    std::size_t buffer_size = 0;    // so much is collected before it is sent

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
        const TimeLimit time(timeout);
        while (!bytes.empty())
            bytes.remove_prefix(time.patiently("send", socket_, POLLOUT, [&] {
                return ::send(socket_.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
            }));
    }

    const Fd& socket_;
    std::string kept_; // written, and not sent yet
};
