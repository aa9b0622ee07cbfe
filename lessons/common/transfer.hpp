// Given: so many bytes on their way, and their checksum. `big` sends them, `sink` takes them.
#pragma once

#include "adler32.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

constexpr std::uint64_t largest_transfer = 1'000'000'000;

struct Transfer {
    std::uint64_t size;
    std::uint64_t left = size;
    Adler32 checksum = {};

    // The part of `bytes` that belongs to the transfer.
    std::string_view take(std::string_view bytes) {
        bytes = bytes.substr(0, std::min<std::uint64_t>(left, bytes.size()));
        left -= bytes.size();
        checksum.add(bytes);
        return bytes;
    }
};

// One piece of what `big` sends: the pattern over and over, nearly 16 KiB, up to a last `w`, so that
// the next piece begins with `a`. The pattern has 23 letters, and 23 is prime: blocks of 512, 4,096
// or 65,536 bytes all differ from the next, so a block that is lost or sent twice shows.
inline std::string_view pattern_piece() {
    static const std::string piece = [] {
        std::string letters;
        while (letters.size() < std::size_t{712} * 23)
            letters += "abcdefghijklmnopqrstuvw";
        return letters;
    }();
    return piece;
}
