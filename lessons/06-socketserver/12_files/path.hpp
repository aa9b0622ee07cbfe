// From the target of a request to a path below the root, and back.
#pragma once

#include "refusal.hpp"
#include "request_head.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

// "%41" is "A". Decoded once: what still has a % in it afterwards is a name with a % in it.
inline std::string decoded(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        plain += text.front();
        text.remove_prefix(1);
        if (plain.back() != '%') continue;
        unsigned char byte = 0;
        const auto digits = text.substr(0, 2);
        const auto [end, error] = std::from_chars(digits.begin(), digits.end(), byte, 16);
        if (digits.size() < 2 || error != std::errc() || end != digits.end())
            throw Refusal(400, "A % in the target has no two digits behind it.");
        plain.back() = static_cast<char>(byte);
        text.remove_prefix(2);
    }
    return plain;
}

// What may stand in any URL, in a header and in a page without another meaning. Also ':' has one: a
// file may be called "javascript:alert(1)".
inline std::string encoded(std::string_view path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text;
    for (const char letter : path) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte < 128 && (std::isalnum(byte) != 0 || has("/-._~", letter)))
            text += letter;
        else
            text.append("%").append(1, digits[byte / 16]).append(1, digits[byte % 16]);
    }
    return text;
}

// The path below the root that a target asks for: "/a%20b/?c" asks for "a b/", and "/" for "".
// Throws Refusal where there is none. We do not look for ".." here, in none of its spellings: the
// kernel does (below.hpp), when nothing is left to be decoded.
inline std::string path_from(std::string_view target) {
    if (small_letters(target.substr(0, 7)) == "http://") { // As if we were a proxy. RFC 9112, 3.2.2
        const auto end = std::min(target.find_first_of("/?", 7), target.size());
        if (!is_host(target.substr(7, end - 7)) || end == 7)
            throw Refusal(400, "The target names no host.");
        target.remove_prefix(end);
    } else if (!target.starts_with('/'))
        throw Refusal(400, "The target does not begin with a slash.");
    if (has(target, '#')) throw Refusal(400, "There is a # in the target.");
    std::string path = decoded(take_until('?', target));
    if (has(path, '\0')) throw Refusal(400, "There is a zero byte in the target.");

    // All slashes in front, not one of them: sent back to "//evil.example/", a browser would go and
    // look for a machine of that name.
    return path.erase(0, std::min(path.find_first_not_of('/'), path.size()));
}
