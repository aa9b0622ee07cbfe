// Given: the checksum of `big` and `sink` (RFC 1950; Python has it as zlib.adler32).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

class Adler32 {
public:
    void add(std::string_view bytes) {
        while (!bytes.empty()) {
            // Division is slow and needed only before the sums outgrow 32 bits: 5,552 bytes of 255
            // are the most that they can hold.
            const auto block = bytes.substr(0, 5552);
            for (const char byte : block) {
                low_ += static_cast<unsigned char>(byte);
                high_ += low_;
            }
            low_ %= largest_prime;
            high_ %= largest_prime;
            bytes.remove_prefix(block.size());
        }
    }

    // Eight lower-case hex digits.
    std::string hex() const {
        const std::uint32_t value = high_ << 16 | low_;
        std::string digits;
        for (int shift = 28; shift >= 0; shift -= 4)
            digits += "0123456789abcdef"[value >> shift & 15];
        return digits;
    }

private:
    static constexpr std::uint32_t largest_prime = 65'521; // ... below 65,536
    std::uint32_t low_ = 1;
    std::uint32_t high_ = 0;
};
