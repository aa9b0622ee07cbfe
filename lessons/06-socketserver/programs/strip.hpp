// A text without the blanks at its ends.
#pragma once

#include <string_view>

// What Python's bytes.strip() takes off: the six characters that ASCII counts as white space. The
// newline of a line is one of them.
inline std::string_view strip(std::string_view text) {
    constexpr std::string_view blanks = " \t\n\r\v\f";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}
