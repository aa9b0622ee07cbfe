// A connection, as a protocol sees it. Whether there is a network behind it, it does not know.
#pragma once

#include <cstddef>
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

    // Says all that is unsent, then the end. Nothing more is heard.
    virtual void lose_connection() = 0;

    // Forgets what is unsent, and ends at once.
    virtual void abort_connection() = 0;

    // No more data_received() until resume_reading(). They notice: what they say fills the kernel's
    // buffers, and then they must wait.
    virtual void pause_reading() = 0;
    virtual void resume_reading() = 0;

    // Says all that is unsent, then the end of our direction. We go on listening.
    virtual void half_close() = 0;

    virtual std::size_t unsent() const = 0; // bytes that are kept

    // Whether the end has been asked for. Who reads on after that reads for nobody.
    virtual bool closing() const = 0;

    virtual std::string peer() const = 0;     // their address, "127.0.0.1:40312"
    virtual int number() const { return -1; } // the descriptor, if there is one
};
