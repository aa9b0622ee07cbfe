// What kind of content a file has, guessed from the end of its name.
#pragma once

#include "request_head.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

// A browser needs the type: without it a page is shown as text, and a picture not at all. What we
// do not know is "some bytes", which a browser saves.
inline std::string_view media_type(std::string_view path) {
    using Kind = std::pair<std::string_view, std::string_view>;
    constexpr std::array<Kind, 20> kinds{{
        {"css", "text/css; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"gif", "image/gif"},
        {"htm", "text/html; charset=utf-8"},
        {"html", "text/html; charset=utf-8"},
        {"ico", "image/x-icon"},
        {"jpeg", "image/jpeg"},
        {"jpg", "image/jpeg"},
        {"js", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"md", "text/markdown; charset=utf-8"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
        {"pdf", "application/pdf"},
        {"png", "image/png"},
        {"svg", "image/svg+xml"},
        {"txt", "text/plain; charset=utf-8"},
        {"wasm", "application/wasm"},
        {"webp", "image/webp"},
        {"xml", "application/xml"},
    }};
    const auto name = path.substr(path.rfind('/') + 1); // npos + 1 is 0: the whole path.
    const auto dot = name.rfind('.');
    const auto ending =
        dot == std::string_view::npos ? std::string() : small_letters(name.substr(dot + 1));
    const auto* const found = std::ranges::find(kinds, ending, &Kind::first);
    return found == kinds.end() ? "application/octet-stream" : found->second;
}
