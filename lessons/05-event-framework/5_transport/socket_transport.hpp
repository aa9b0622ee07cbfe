// One connection: its descriptor, and what it still has to say.
#pragma once

#include "hear.hpp"
#include "outbox.hpp"
#include "reactor.hpp"

#include <sys/socket.h>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

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

// Derive from it, and say what is to be done when something is heard, and when all is over.
class SocketTransport : public Watcher {
public:
    SocketTransport(Reactor& reactor, Fd caller) : Watcher(std::move(caller)), reactor_(reactor) {}
    ~SocketTransport() override { patience_.cancel(); }

    // Never waits. What the kernel does not take now is kept, and said when there is room.
    void write(std::string_view bytes) {
        reactor_.insist_on_my_thread("write");
        if (leaving_) return;
        outbox_.put(number(), bytes);
        update();
    }

    // Says all that is unsent, then the end, and hears them out for a second (lesson 01, step 8).
    void lose_connection() {
        leaving_ = true;
        leave_if_done();
    }

    // Forgets what is unsent. They see a reset, or the end in the middle of a word.
    void abort_connection() { end(nullptr); }

    void readable() final try {
        const auto bytes = hear(number());
        if (!bytes) return;
        if (bytes->empty())
            they_end();
        else if (!leaving_)
            data_received(*bytes);
    } catch (...) {
        end(std::current_exception());
    }

    void writable() final try {
        outbox_.flush(number());
        update();
        leave_if_done();
    } catch (...) {
        end(std::current_exception());
    }

protected:
    virtual void data_received(std::string_view bytes) = 0;
    virtual void eof_received() { lose_connection(); } // They say no more: answer, and go.
    virtual void connection_lost(const std::exception_ptr& reason) = 0; // None: it was the end.

private:
    void they_end() {
        ended_ = true;
        update();
        if (lingering_)
            end(nullptr);
        else if (!leaving_)
            eof_received();
    }

    void leave_if_done() {
        if (!leaving_ || lingering_ || !outbox_.empty()) return;
        ::shutdown(number(), SHUT_WR); // It may fail: they may be gone. Never mind.
        if (ended_) return end(nullptr);
        lingering_ = true;
        patience_ = reactor_.call_later(std::chrono::seconds(1), [this] { end(nullptr); });
        update();
    }

    // An end stays ready for ever: we do not ask for it twice. Once we have said that we go, we hear
    // nothing until all is sent, and then only to forget it.
    void update() {
        reactor_.want(
            *this, {.reading = !ended_ && (!leaving_ || lingering_), .writing = !outbox_.empty()});
    }

    // The reactor destroys us: nothing may be touched after this.
    void end(const std::exception_ptr& reason) {
        connection_lost(reason);
        reactor_.unwatch(*this);
    }

    Reactor& reactor_;
    Outbox outbox_;
    Timer patience_;
    bool ended_ = false;     // they say no more
    bool leaving_ = false;   // we say no more than what is unsent
    bool lingering_ = false; // ... and have said it
};
