// Where a line ends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

// How many bytes belong to the first line, its newline too; where there is none, all. `limit` at
// most.
inline std::size_t line_size(std::string_view text, std::size_t limit) {
    const std::size_t newline = text.find('\n');
    return std::min(limit, newline == std::string_view::npos ? text.size() : newline + 1);
}
