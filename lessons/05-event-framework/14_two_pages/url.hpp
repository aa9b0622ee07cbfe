// Where a page is.
#pragma once

#include "request.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

struct Url {
    std::string host;
    in_port_t port = 80;
    std::string path; // with the query, and always with a slash in front
};

// Reads http://HOST, http://HOST:PORT and http://HOST:PORT/PATH. Throws std::invalid_argument for
// everything else. No spaces and no control characters: a line end in a URL would be a line end in
// our request, and whoever chose the URL could write the rest of it.
inline Url url_from(std::string_view text) {
    const auto refuse = [text](const std::string& why) {
        throw std::invalid_argument("no page at \"" + std::string(text) + "\": " + why);
    };
    constexpr std::string_view scheme = "http://";
    if (!text.starts_with(scheme)) refuse("it must begin with http://");
    if (std::ranges::any_of(text, [](char letter) { return letter <= ' ' || letter > '~'; }))
        refuse("it must be plain letters without spaces");
    auto rest = text.substr(scheme.size());
    const auto slash = std::min(rest.find_first_of("/?#"), rest.size());
    const auto place = rest.substr(0, slash);
    auto path = rest.substr(slash);
    path =
        path.substr(0, path.find('#')); // What is behind # is for the reader, not for the server.

    const auto colon = std::min(place.find(':'), place.size());
    Url url{.host = std::string(place.substr(0, colon)), .path = std::string(path)};
    if (!url.path.starts_with('/')) url.path.insert(0, "/");
    if (url.host.empty() || url.host.find('@') != std::string::npos) refuse("it names no host");
    if (colon < place.size()) {
        const auto port = number(place.substr(colon + 1), 65535).value_or(0);
        if (port == 0) refuse("a port is a number from 1 to 65535");
        url.port = static_cast<in_port_t>(port);
    }
    return url;
}
