// The status codes of our answers, and the exception that carries one.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// Their names, from RFC 9110, section 15. Programs read the number only.
inline std::string_view phrase_of(int status) {
    using Phrase = std::pair<int, std::string_view>;
    constexpr std::array<Phrase, 19> phrases{{
        {200, "OK"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    }};
    const auto* const found = std::ranges::find(phrases, status, &Phrase::first);
    return found == phrases.end() ? std::string_view() : found->second;
}

// A request that we do not take. After it the connection ends: where a request is wrong, nobody can
// say for sure where the next one begins.
class Refusal : public std::runtime_error {
public:
    Refusal(int status, const std::string& why) : std::runtime_error(why), status_(status) {}

    int status() const { return status_; }

private:
    int status_;
};

// The status for a file that cannot be opened. What leads out of the root (EXDEV) is answered like
// what is not there: whoever tries paths learns nothing about the rest of the disk.
inline int status_of_error(int error) {
    switch (error) {
    case EACCES:
    case EPERM:
        return 403;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return 503;
    case EIO:
        return 500;
    default:
        return 404;
    }
}
