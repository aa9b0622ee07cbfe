// The status codes of our answers, and the exception that carries one.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

// Their names, from RFC 9110, section 15. Programs read the number only.
inline std::string_view phrase_of(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Internal Server Error";
    }
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
