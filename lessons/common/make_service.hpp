// Given: the service behind --service, told where it finds itself.
#pragma once

#include "echo.hpp"
#include "fd.hpp"
#include "hotline.hpp"
#include "listen_on.hpp"
#include "switchboard.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <utility>

// The date and time as ctime(3) writes it, without its newline.
inline std::string date_now() {
    const std::time_t now = std::time(nullptr);
    std::string text(26, '\0'); // ctime_r needs 26 bytes.
    if (ctime_r(&now, text.data()) == nullptr) return "no date";
    return text.substr(0, text.find('\n'));
}

// A service for this caller. `name` is "hotline" or "echo"; `model` and `thread`, a name or the
// kernel's number, are for the greeting. The switchboard must outlive it.
inline std::unique_ptr<Service> make_service(const std::string& name, std::string model,
                                             const Fd& caller, Switchboard& switchboard,
                                             std::string thread = std::to_string(::gettid())) {
    if (name == "echo") return std::make_unique<Echo>();
    sockaddr_in address{};
    socklen_t size = sizeof address;
    // It fails for a caller who is gone already: then the address stays 0.0.0.0:0.
    ::getpeername(caller.number(), reinterpret_cast<sockaddr*>(&address), &size);
    return std::make_unique<Hotline>(Setting{.model = std::move(model),
                                             .pid = ::getpid(),
                                             .thread = std::move(thread),
                                             .descriptor = caller.number(),
                                             .address = to_text(address),
                                             .date = date_now,
                                             .crash = [] { std::abort(); }},
                                     switchboard);
}
