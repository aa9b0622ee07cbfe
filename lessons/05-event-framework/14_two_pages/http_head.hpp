// The head of an HTTP answer: what comes before the page.
#pragma once

#include "request.hpp"

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

// How a page ends is said in its head, in one of three ways: after so many bytes; in chunks, each
// with its size in front; or when the connection does.
struct HttpHead {
    int status = 0;
    bool chunked = false;
    std::optional<std::uint64_t> length;
};

inline std::string_view without_spaces(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

inline int http_status(std::string_view line) {
    const auto [version, rest] = split(line);
    const auto status = number(split(rest.value_or("")).verb, 599).value_or(0);
    if (!version.starts_with("HTTP/1.") || status < 100)
        throw std::runtime_error("this is not HTTP: the first line is no status line");
    return static_cast<int>(status);
}

// Two lengths, or a coding that we do not know: then we cannot say where the page ends, and who
// guesses can be led astray.
inline void take_header(HttpHead& head, std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || std::isspace(line[0]) != 0)
        throw std::runtime_error("this is not HTTP: a header without a name");
    const auto name = upper_case(line.substr(0, colon));
    const auto value = without_spaces(line.substr(colon + 1));
    if (name == "CONTENT-LENGTH") {
        const auto length = number(value, std::numeric_limits<std::int64_t>::max());
        if (!length || (head.length && head.length != length))
            throw std::runtime_error("this is not HTTP: a Content-Length that says nothing");
        head.length = length;
    } else if (name == "TRANSFER-ENCODING") {
        if (head.chunked || upper_case(value) != "CHUNKED")
            throw std::runtime_error("the page comes in a coding that we do not know");
        head.chunked = true;
    }
}

// The head with the empty line at its end; nothing while that has not come.
inline std::optional<std::string> http_head_text(std::string_view input) {
    std::size_t place = 0;
    while (const auto line = first_line(input.substr(place), false)) {
        place += line->size;
        if (line->text.empty()) return std::string(input.substr(0, place));
    }
    return std::nullopt;
}

inline HttpHead http_head_from(std::string_view text) {
    auto line = first_line(text, false);
    HttpHead head;
    head.status = http_status(line->text);
    for (text.remove_prefix(line->size); (line = first_line(text, false));
         text.remove_prefix(line->size))
        if (!line->text.empty()) take_header(head, line->text);
    return head;
}
