// Given: how bytes become lines, and a line becomes a request. None of it remembers anything.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

constexpr std::size_t longest_line = 1024; // without its ending

struct Line {
    std::string_view text;
    std::size_t size; // with its ending: as many bytes to pop
};

// The first line of `bytes`, or nothing while its end is still to come. If the input has ended,
// what is there is a line. If it is too long already, it is given as it is, to be refused: to wait
// for its end would mean to store as much as the caller likes.
inline std::optional<Line> first_line(std::string_view bytes, bool input_ended) {
    auto text = bytes.substr(0, bytes.find('\n'));
    const bool has_newline = text.size() < bytes.size();
    const std::size_t size = text.size() + (has_newline ? 1 : 0);
    if (text.ends_with('\r')) text.remove_suffix(1);
    const bool known = has_newline || (input_ended && size > 0) || text.size() > longest_line;
    return known ? std::optional(Line{text, size}) : std::nullopt;
}

struct Request {
    std::string_view verb;
    std::optional<std::string_view> text; // what stands behind the first space, if there is one
};

inline Request split(std::string_view line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return {line, std::nullopt};
    return {line.substr(0, space), line.substr(space + 1)};
}

// Digits and nothing else: no sign, no space, nothing behind. Nothing if it is above `most`.
inline std::optional<std::uint64_t> number(std::string_view text, std::uint64_t most) {
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool fits = error == std::errc() && stop == text.data() + text.size() && value <= most;
    return fits ? std::optional(value) : std::nullopt;
}

// std::toupper asks the locale; a byte above 127 is no letter of ours.
inline std::string upper_case(std::string_view text) {
    std::string upper(text);
    for (char& letter : upper)
        if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    return upper;
}
