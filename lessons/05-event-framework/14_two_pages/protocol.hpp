// What is said on a connection, and what is answered. Not a word about sockets.
#pragma once

#include "transport.hpp"

#include <exception>
#include <string>
#include <string_view>

// One for each connection. Its life: made, then data as often as it likes, then perhaps eof, then
// lost, exactly once. What it throws ends this connection, and no other.
class Protocol {
public:
    Protocol() = default;
    Protocol(const Protocol&) = delete;
    Protocol& operator=(const Protocol&) = delete;
    virtual ~Protocol() = default;

    // For whoever has a transport: from here on they belong together.
    void make_connection(Transport& transport) {
        transport_ = &transport;
        connection_made(transport);
    }

    virtual void connection_made(Transport& /*transport*/) {}

    // Some bytes. It may be half a message, or ten.
    virtual void data_received(std::string_view bytes) = 0;

    // They say no more. Unless you say otherwise, we say what is unsent, and go too.
    virtual void eof_received() { transport().lose_connection(); }

    // The transport keeps more than it likes to: write no more. Then it has got rid of most of it:
    // write on. They come in turns, this one first.
    virtual void pause_writing() {}
    virtual void resume_writing() {}

    // The last call. The reason is empty if it was a proper end.
    virtual void connection_lost(const std::exception_ptr& /*reason*/) {}

protected:
    Transport& transport() const { return *transport_; }

private:
    Transport* transport_ = nullptr;
};

// What an exception says.
inline std::string text_of(const std::exception_ptr& reason) {
    try {
        std::rethrow_exception(reason);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an exception that is none of std::exception";
    }
}
