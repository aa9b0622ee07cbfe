// For tests: plays a caller's words to a service, without a socket.
#pragma once

#include "hotline.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

// A setting in which nothing changes, so that every answer is known beforehand.
inline Setting known_setting() {
    return {.model = "blocking",
            .pid = 42,
            .thread = "43",
            .descriptor = 4,
            .address = "127.0.0.1:40312",
            .date = [] { return std::string("Sat Nov 21 10:08:06 2026"); },
            .crash = [] {}};
}

// Says `input` and hears the answers. `listen` and `speak` say how many bytes to move next (1 or
// more). An eager server reads whenever there is room, a patient one sends first. Returns all that
// was heard; the conversation ends with a half-close.
std::string play(Service& service, std::string_view input, auto listen, auto speak,
                 bool eager = false) {
    std::string heard;
    while (!service.finished()) {
        const auto unsent = service.unsent();
        const bool may_read = service.room() > 0 && !input.empty();
        if (!unsent.empty() && !(eager && may_read)) {
            const auto count = std::min<std::size_t>(speak(), unsent.size());
            heard += unsent.substr(0, count);
            service.sent(count);
        } else if (service.nap()) {
            service.woke();
        } else if (may_read) {
            const auto count = std::min({std::size_t{listen()}, service.room(), input.size()});
            service.receive(input.substr(0, count));
            input.remove_prefix(count);
        } else {
            service.end_of_input();
        }
    }
    return heard;
}

inline std::string play_whole(std::string_view input) {
    PlainSwitchboard switchboard;
    Hotline hotline(known_setting(), switchboard);
    const auto all = [] { return std::size_t{1} << 20; };
    return play(hotline, input, all, all);
}
