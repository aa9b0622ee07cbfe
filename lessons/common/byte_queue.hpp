// Given: bytes that wait. New ones come in at the back, old ones leave at the front.
#pragma once

#include <cassert>
#include <cstddef>
#include <string>
#include <string_view>

class ByteQueue {
public:
    bool empty() const { return size() == 0; }
    std::size_t size() const { return bytes_.size() - gone_; }

    // All that waits. The view holds until the next push or pop.
    std::string_view front() const { return std::string_view(bytes_).substr(gone_); }

    // To erase a byte at the front moves all bytes behind it. So `pop` only counts, and the next
    // `push` makes up for many of them with one move.
    void push(std::string_view bytes) {
        bytes_.erase(0, gone_);
        gone_ = 0;
        bytes_ += bytes;
    }

    void pop(std::size_t count) {
        assert(count <= size());
        gone_ += count;
    }

private:
    std::string bytes_;
    std::size_t gone_ = 0;
};
