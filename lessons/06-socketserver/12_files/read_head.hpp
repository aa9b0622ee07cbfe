// Reads the head of a request, which ends with an empty line.
#pragma once

#include "refusal.hpp"

#include <cstddef>
#include <optional>
#include <string>

constexpr std::size_t longest_request_line = 8000; // RFC 9112, section 3 asks for that much.
constexpr std::size_t longest_head = 16384;

// The head without the empty line; nothing where the caller says no more. `next_line(LIMIT)` gives
// a line with its newline; without one, if the line is longer or the caller says no more. Throws
// Refusal for a head that is too long. It does not wait for its end: that would be to store as much
// as the caller likes.
inline std::optional<std::string> read_head(auto next_line) {
    std::string head;
    std::size_t size = 0;
    while (true) {
        const std::string line = next_line(longest_request_line + 1);
        size += line.size();
        if (line.size() > longest_request_line && head.empty())
            throw Refusal(414, "The first line is too long.");
        if (line.size() > longest_request_line || size > longest_head)
            throw Refusal(431, "There are too many header fields, or they are too long.");
        if (size == 0) return std::nullopt;
        if (!line.ends_with('\n')) throw Refusal(400, "The request ends too early.");

        // Who types ends lines with \n alone. And some send an empty line behind their last
        // request: it stands in front of the next one (RFC 9112, section 2.2).
        const bool is_empty = line == "\r\n" || line == "\n";
        if (is_empty && !head.empty()) return head;
        if (!is_empty) head += line;
    }
}
