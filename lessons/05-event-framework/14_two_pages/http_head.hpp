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

// "HTTP/1.1 200 OK". The words behind the number are for a person, and may be missing.
inline int http_status(std::string_view line) {
    const auto [version, rest] = split(line);
    const auto code = split(rest.value_or("")).verb;
    const auto status = code.size() == 3 ? number(code, 999).value_or(0) : 0;
    const bool is_1 = version.size() == 8 && version.starts_with("HTTP/1.") &&
                      std::isdigit(static_cast<unsigned char>(version[7])) != 0;
    if (!is_1 || status < 100)
        throw std::runtime_error("this is not HTTP: the first line is no status line");
    return static_cast<int>(status);
}

// "5", or "5, 5" where a program on the way has put two lines together (RFC 9110, 8.6). Two lengths
// that differ: then we cannot say where the page ends, and a client that guesses can be led astray.
inline void take_length(HttpHead& head, std::string_view value) {
    for (bool more = true; more;) {
        const auto comma = value.find(',');
        const auto length = number(without_spaces(value.substr(0, comma)),
                                   std::numeric_limits<std::int64_t>::max());
        if (!length || (head.length && head.length != length))
            throw std::runtime_error("this is not HTTP: a Content-Length that says nothing");
        head.length = length;
        more = comma != std::string_view::npos;
        if (more) value.remove_prefix(comma + 1);
    }
}

inline void take_header(HttpHead& head, std::string_view line) {
    const auto colon = line.find(':');
    const auto name = upper_case(without_spaces(line.substr(0, colon)));
    if (colon == std::string_view::npos || name.empty())
        throw std::runtime_error("this is not HTTP: a header without a name");
    const auto value = without_spaces(line.substr(colon + 1));
    if (name == "CONTENT-LENGTH") take_length(head, value);
    if (name != "TRANSFER-ENCODING") return;
    if (head.chunked || upper_case(value) != "CHUNKED")
        throw std::runtime_error("the page comes in a coding that we do not know");
    head.chunked = true;
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

// A line that begins with a space goes on with the header before it. Nothing may be sent so any more,
// and a server refuses it; but a client must still understand it (RFC 9112, section 5.2).
inline HttpHead http_head_from(std::string_view text) {
    auto line = first_line(text, false);
    HttpHead head;
    head.status = http_status(line->text);
    std::string header;
    for (text.remove_prefix(line->size); (line = first_line(text, false));
         text.remove_prefix(line->size)) {
        const bool goes_on = line->text.starts_with(' ') || line->text.starts_with('\t');
        if (goes_on && header.empty())
            throw std::runtime_error("this is not HTTP: a header without a name");
        if (!goes_on && !header.empty()) take_header(head, header);
        if (!goes_on) header.clear();
        header += line->text;
    }
    return head;
}
