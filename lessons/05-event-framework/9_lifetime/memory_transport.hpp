// A transport without a network, for tests: what is written stands in a string.
#pragma once

#include "transport.hpp"

#include <string>
#include <string_view>
#include <utility>

class MemoryTransport final : public Transport {
public:
    void write(std::string_view bytes) override {
        if (!closing()) written_ += bytes;
    }
    void lose_connection() override { losing_ = true; }
    void abort_connection() override { aborted_ = true; }
    bool closing() const override { return losing_ || aborted_; }
    std::string peer() const override { return "127.0.0.1:10086"; }

    // All that was written since the last time.
    std::string take() { return std::exchange(written_, {}); }
    bool losing() const { return losing_; }
    bool aborted() const { return aborted_; }

private:
    std::string written_;
    bool losing_ = false;
    bool aborted_ = false;
};
