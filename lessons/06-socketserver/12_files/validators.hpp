// What tells one content of a file from another, and how HTTP writes it.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

// Both are empty where a content has no name and no date.
struct Validators {
    std::string tag = {};
    std::optional<std::time_t> modified = {};
};

// Not the time that ls shows: mv keeps it, and touch sets it. The inode says which file it is, and
// ctime when it was last changed; that one only the kernel sets (inode(7)).
//
// The kernel's times advance in steps, of a few milliseconds or, on some disks, of two seconds. A
// file that has changed a moment ago may change again within the step, and its tag would not. A weak
// tag (W/) would not help: it stays in a client's cache and fits for ever. So for a moment there is
// no tag. See RFC 9110, section 8.8.1.
inline Validators validators_of(const struct stat& file, std::time_t now) {
    constexpr std::time_t longest_step = 2;
    const auto& changed = file.st_ctim;
    Validators of_it{.modified = std::min(changed.tv_sec, now)}; // A clock may have been set back.
    if (now - changed.tv_sec > longest_step)
        of_it.tag = '"' + std::to_string(file.st_ino) + '-' + std::to_string(file.st_size) + '-' +
                    std::to_string(changed.tv_sec) + '.' + std::to_string(changed.tv_nsec) + '"';
    return of_it;
}

// "Sun, 06 Nov 1994 08:49:37 GMT", in English wherever the server stands
inline std::string http_date(std::time_t time) {
    std::tm moment{};
    gmtime_r(&time, &moment);
    std::array<char, 40> text{};
    const auto size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &moment);
    return {text.data(), size};
}

// And back. Two older forms are still to be understood (RFC 9110, section 5.6.7). One has two digits
// for the year: it is not more than fifty years ahead. Nothing for what is no date.
inline std::optional<std::time_t> time_of(std::string_view date, std::time_t now) {
    const std::string text(date);
    std::tm today{};
    gmtime_r(&now, &today);
    for (const auto* const form :
         {"%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm moment{};
        const char* const end = strptime(text.c_str(), form, &moment);
        if (end == nullptr || *end != '\0') continue;
        if (std::string_view(form).find("%y") != std::string_view::npos) {
            moment.tm_year = today.tm_year / 100 * 100 + moment.tm_year % 100;
            if (moment.tm_year > today.tm_year + 50) moment.tm_year -= 100;
        }
        return timegm(&moment);
    }
    return std::nullopt;
}
