// Given: the echo service (RFC 862). Every byte comes back.
//
// It holds one piece at a time, and takes the next when the last byte of this one is on its way
// back: one buffer of 64 KiB for a caller, whether they read or not.
#pragma once

#include "byte_queue.hpp"
#include "service.hpp"

class Echo final : public Service {
public:
    static constexpr std::size_t largest_piece = 64 * 1024;

    std::size_t room() const override { return ended_ || !bytes_.empty() ? 0 : largest_piece; }

    void receive(std::string_view bytes) override {
        assert(bytes.size() <= room());
        bytes_.push(bytes);
        ++pieces_;
    }

    void end_of_input() override { ended_ = true; }

    std::string_view unsent() const override { return bytes_.front(); }
    void sent(std::size_t count) override { bytes_.pop(count); }

    std::optional<std::chrono::milliseconds> nap() const override { return std::nullopt; }
    void woke() override {}

    bool finished() const override { return ended_ && bytes_.empty(); }

    // Echo has no requests: each piece that arrives is progress.
    std::uint64_t requests() const override { return pieces_; }

private:
    ByteQueue bytes_;
    bool ended_ = false;
    std::uint64_t pieces_ = 0;
};
