// What is still to be said on a connection.
#pragma once

#include "byte_queue.hpp"
#include "check.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <string_view>

// Above the high water mark it is flooded, until it is below the low one. Between them there is room,
// or else they would take turns with each byte.
class Outbox {
public:
    static constexpr std::size_t high_water = 65536;
    static constexpr std::size_t low_water = 16384;

    bool empty() const { return unsent_.empty(); }
    std::size_t size() const { return unsent_.size(); }

    // Sends what the kernel takes now, and keeps the rest. Most of the time there is no rest, and then
    // nothing is copied. Throws when the caller is lost.
    void put(int number, std::string_view bytes) {
        if (empty()) bytes.remove_prefix(send(number, bytes));
        if (bytes.empty()) return;
        unsent_.push(bytes);
        flooded_ = flooded_ || size() > high_water;
    }

    // Sends what the kernel takes now of all that is kept.
    void flush(int number) {
        unsent_.pop(send(number, unsent_.front()));
        if (empty()) unsent_ = {}; // Gives the memory back.
        flooded_ = flooded_ && size() > low_water;
    }

    bool flooded() const { return flooded_; }

private:
    static std::size_t send(int number, std::string_view bytes) {
        const auto count = ::send(number, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return 0;
        return static_cast<std::size_t>(check(count, "send"));
    }

    ByteQueue unsent_;
    bool flooded_ = false;
};
