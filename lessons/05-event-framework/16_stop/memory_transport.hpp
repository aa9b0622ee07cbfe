// A transport without a network, for tests: what is written stands in a string.
#pragma once

#include "transport.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

class MemoryTransport final : public Transport {
public:
    void write(std::string_view bytes) override {
        if (!closing() && !half_closed_) written_ += bytes;
    }
    void lose_connection() override { losing_ = true; }
    void abort_connection() override { aborted_ = true; }
    void pause_reading() override { reading_ = false; }
    void resume_reading() override { reading_ = true; }
    void half_close() override { half_closed_ = true; }
    std::size_t unsent() const override { return written_.size(); }
    bool closing() const override { return losing_ || aborted_; }
    std::string peer() const override { return "127.0.0.1:10086"; }

    // All that was written since the last time.
    std::string take() { return std::exchange(written_, {}); }
    bool reading() const { return reading_; }
    bool half_closed() const { return half_closed_; }
    bool losing() const { return losing_; }
    bool aborted() const { return aborted_; }

private:
    std::string written_;
    bool reading_ = true;
    bool half_closed_ = false;
    bool losing_ = false;
    bool aborted_ = false;
};
