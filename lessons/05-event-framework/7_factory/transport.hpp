// A connection, as a protocol sees it. Whether there is a network behind it, it does not know.
#pragma once

#include <string>
#include <string_view>

class Transport {
public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    // Never waits. What cannot be said now is kept.
    virtual void write(std::string_view bytes) = 0;

    // Says all that is unsent, then the end.
    virtual void lose_connection() = 0;

    // Forgets what is unsent, and ends at once.
    virtual void abort_connection() = 0;

    virtual std::string peer() const = 0;     // their address, "127.0.0.1:40312"
    virtual int number() const { return -1; } // the descriptor, if there is one
};
