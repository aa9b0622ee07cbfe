// The head of a request, read as strictly as RFC 9112 asks.
#pragma once

#include "refusal.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <string_view>

// Two programs that read the same bytes differently are a hole: what one takes for the end of a
// request is in the middle of it for the other. So what is not quite right is refused, not
// repaired.
struct RequestHead {
    std::string method;
    std::string target;                        // as it came: "/a%20b?c"
    bool is_1_1 = true;                        // or HTTP/1.0
    std::map<std::string, std::string> fields; // names in small letters

    // The value of a field, or "" where there is none. Several of one name are one, with commas.
    std::string_view field(const std::string& name) const {
        const auto found = fields.find(name);
        return found == fields.end() ? std::string_view() : found->second;
    }
};

// Each returns what stands before the mark, and takes it and the mark off `text`.
inline std::string_view take_until(char mark, std::string_view& text) {
    const auto place = std::min(text.find(mark), text.size());
    const auto taken = text.substr(0, place);
    text.remove_prefix(std::min(place + 1, text.size()));
    return taken;
}

inline std::string_view take_line(std::string_view& text) {
    auto line = take_until('\n', text);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

inline std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

inline bool has(std::string_view text, char letter) {
    return text.find(letter) != std::string_view::npos;
}

inline bool is_digit(char letter) {
    return letter >= '0' && letter <= '9';
}

inline std::string small_letters(std::string_view text) {
    std::string small(text);
    for (char& letter : small)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    return small;
}

// Is `token` in a list such as "keep-alive, Upgrade"? The case of letters does not matter.
inline bool lists(std::string_view list, std::string_view token) {
    while (!list.empty())
        if (small_letters(trimmed(take_until(',', list))) == token) return true;
    return false;
}

// A method or a field name. A space before the colon makes it another name to some, so it is none.
inline bool is_token(std::string_view text) {
    const auto may_stand_in_one = [](char letter) {
        return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
               has("!#$%&'*+-.^_`|~", letter);
    };
    return !text.empty() && std::ranges::all_of(text, may_stand_in_one);
}

// No control characters, and no space: what is left may also stand in a log.
inline bool is_visible(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char letter) { return letter > ' ' && letter < 127; });
}

// HOST or HOST:PORT, or nothing. Names have no slash, and nobody is named in front of an @.
inline bool is_host(std::string_view text) {
    const auto colon =
        text.ends_with(']') ? std::string_view::npos : text.rfind(':'); // [::1] is an address
    const auto port = text.substr(std::min(colon, text.size()));
    return std::ranges::all_of(port.substr(port.empty() ? 0 : 1), is_digit) &&
           std::ranges::all_of(text, [](char letter) {
               return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                      has("-._~%!$&'()*+,;=:[]", letter);
           });
}

// "GET /page HTTP/1.1"
inline void read_request_line(std::string_view line, RequestHead& head) {
    head.method = take_until(' ', line);
    head.target = take_until(' ', line);
    if (!is_token(head.method) || !is_visible(head.target))
        throw Refusal(400, "The first line is not METHOD TARGET HTTP/1.1.");
    if (line.size() != 8 || !line.starts_with("HTTP/") || !is_digit(line[5]) || line[6] != '.' ||
        !is_digit(line[7]))
        throw Refusal(400, "The first line does not end with HTTP/1.1.");
    if (line[5] != '1') throw Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0.");
    head.is_1_1 = line[7] != '0'; // Whoever speaks 1.7 understands 1.1.
}

// "Name: value". A line that begins with a space once continued the line before. It is no name.
inline void read_field(std::string_view line, RequestHead& head) {
    const bool has_colon = has(line, ':');
    const auto name = take_until(':', line);
    if (!has_colon || !is_token(name)) throw Refusal(400, "A header field has no name.");
    const auto value = trimmed(line);
    const auto is_control = [](char letter) {
        return (letter >= 0 && letter < ' ' && letter != '\t') || letter == 127;
    };
    if (std::ranges::any_of(value, is_control))
        throw Refusal(400, "A header field has a control character in it.");
    const auto [entry, is_new] = head.fields.try_emplace(small_letters(name), value);
    if (!is_new) entry->second.append(", ").append(value);
}

// Reads a head. Throws Refusal for one that is wrong.
inline RequestHead request_head_from(std::string_view text) {
    RequestHead head;
    read_request_line(take_line(text), head);
    while (!text.empty())
        read_field(take_line(text), head);
    return head;
}
