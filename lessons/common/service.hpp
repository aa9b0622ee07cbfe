// Given: what a service is to the server that carries its bytes.
//
// A service takes bytes and gives bytes. It makes no system call, it never waits, and it keeps
// bounded memory whatever the caller does. So every lesson can serve the same one, and only the
// server around it changes. One object serves one caller; use it from one thread at a time.
//
//     while (!service.finished()) {
//         if (!service.unsent().empty()) service.sent(<how many of them the kernel took>);
//         else if (auto nap = service.nap()) { <sleep for *nap>; service.woke(); }
//         else if (<the caller says no more>) service.end_of_input();
//         else service.receive(<at most service.room() bytes from the caller>);
//     }
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

class Service {
public:
    Service() = default;
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;
    virtual ~Service() = default;

    // How many bytes `receive` takes now. While it is 0, do not read from the caller: that is how
    // a caller who does not read the answers is made to wait (backpressure).
    virtual std::size_t room() const = 0;

    // Takes bytes from the caller, at most `room()` of them.
    virtual void receive(std::string_view bytes) = 0;

    // The caller says no more (its half-close). Every answer still owed comes in `unsent()`.
    virtual void end_of_input() = 0;

    // The next bytes to send; empty when none are owed now. The view holds until the next call
    // of a member that is not const.
    virtual std::string_view unsent() const = 0;

    // The kernel took the first `count` bytes of `unsent()`.
    virtual void sent(std::size_t count) = 0;

    // The handler sleeps for so long: nothing more is answered until `woke()`.
    virtual std::optional<std::chrono::milliseconds> nap() const = 0;
    virtual void woke() = 0;

    // All is said and sent: close.
    virtual bool finished() const = 0;

    // How many requests the caller has completed. A deadline for one request starts anew when
    // this number changes.
    virtual std::uint64_t requests() const = 0;
};
