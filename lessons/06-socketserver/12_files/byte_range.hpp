// Which part of a file a `Range` field asks for.
#pragma once

#include "request_head.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

// The bytes of a file to be sent, and the status of the answer: 200 for all of it, 206 for a part,
// 416 for a part that is not there.
struct Part {
    int status = 200;
    std::uint64_t first = 0;
    std::uint64_t size = 0;
};

// A number that is too large for us is larger than any file, too.
inline std::optional<std::uint64_t> position(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (text.empty() || end != text.end() || error == std::errc::invalid_argument)
        return std::nullopt;
    return error == std::errc() ? value : std::numeric_limits<std::uint64_t>::max();
}

// "bytes=0-99" are the first hundred, "bytes=100-" all others, "bytes=-100" the last hundred. What
// we do not understand we may take for unsaid (RFC 9110, section 14.2), and so we do with several
// ranges in one request: small ones by the hundred would cost much and are good for little.
inline Part part_of(std::uint64_t size, std::string_view range) {
    const Part whole{.status = 200, .first = 0, .size = size};
    const Part none{.status = 416, .first = 0, .size = 0};
    if (small_letters(take_until('=', range)) != "bytes") return whole;
    const bool has_dash = has(range, '-');
    const auto before = trimmed(take_until('-', range));
    const auto behind = trimmed(range);
    const auto first = position(before);
    const auto last = position(behind);
    if (!has_dash || (!first && !before.empty()) || (!last && !behind.empty())) return whole;
    if (first) {
        if (last.value_or(*first) < *first) return whole;
        if (*first >= size) return none;
        const auto end = last && *last < size ? *last + 1 : size;
        return {.status = 206, .first = *first, .size = end - *first};
    }
    if (!last || (size == 0 && *last > 0)) return whole;
    if (*last == 0) return none;
    const auto count = std::min(*last, size);
    return {.status = 206, .first = size - count, .size = count};
}

// "bytes 0-99/1000", what of how much
inline std::string content_range(const Part& part, std::uint64_t size) {
    const std::string of = "/" + std::to_string(size);
    if (part.status == 416) return "bytes *" + of;
    return "bytes " + std::to_string(part.first) + '-' +
           std::to_string(part.first + part.size - 1) + of;
}
