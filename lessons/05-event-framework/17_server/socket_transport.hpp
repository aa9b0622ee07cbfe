// One connection: its descriptor, and what it still has to say.
#pragma once

#include "hear.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "outbox.hpp"
#include "protocol.hpp"
#include "reactor.hpp"

#include <sys/socket.h>

#include <utility>

// Owns its protocol, and tells it what happens.
class SocketTransport final : public Watcher, public Transport {
public:
    SocketTransport(Reactor& reactor, Fd caller, const sockaddr_in& peer,
                    std::unique_ptr<Protocol> protocol)
        : Watcher(std::move(caller)), reactor_(reactor), peer_(peer),
          protocol_(std::move(protocol)) {}

    // When the reactor watches it: from now on the connection is the protocol's.
    void begin() try { protocol_->make_connection(*this); } catch (...) {
        end(std::current_exception());
    }

    std::string peer() const override { return to_text(peer_); }
    int number() const override { return descriptor().number(); }

    // Never waits. What the kernel does not take now is kept, and said when there is room.
    void write(std::string_view bytes) override {
        reactor_.insist_on_my_thread("write");
        if (closing() || half_closing_) return;
        try {
            outbox_.put(number(), bytes);
            update();
            if (outbox_.flooded() && !std::exchange(paused_, true)) protocol_->pause_writing();
        } catch (...) {
            end(std::current_exception());
        }
    }

    // Says all that is unsent, then the end, and hears them out for a second (lesson 01, step 8).
    void lose_connection() override {
        leaving_ = true;
        leave_if_done();
    }

    // Forgets what is unsent. They see a reset, or the end in the middle of a word.
    void abort_connection() override { end(nullptr); }

    void pause_reading() override { listen(false); }
    void resume_reading() override { listen(true); }

    void half_close() override {
        half_closing_ = true;
        leave_if_done();
    }

    std::size_t unsent() const override { return outbox_.size(); }
    bool closing() const override { return leaving_ || over_; }

    void readable() override try {
        const auto bytes = hear(number());
        if (!bytes) return;
        if (bytes->empty()) return they_end();
        if (!closing()) protocol_->data_received(*bytes);
    } catch (...) {
        end(std::current_exception());
    }

    void writable() override try {
        outbox_.flush(number());
        update();
        if (!outbox_.flooded() && std::exchange(paused_, false) && !closing())
            protocol_->resume_writing();
        leave_if_done();
    } catch (...) {
        end(std::current_exception());
    }

    void wind_up() override try { protocol_->shutting_down(); } catch (...) {
        end(std::current_exception());
    }
    bool keeps_waiting() const override { return true; }

private:
    void they_end() {
        ended_ = true;
        if (lingering_) return end(nullptr);
        if (!closing()) protocol_->eof_received();
        update();
    }

    void listen(bool reading) {
        reading_ = reading;
        update();
    }

    void leave_if_done() {
        if (over_ || lingering_ || !outbox_.empty() || !(leaving_ || half_closing_)) return;
        ::shutdown(number(), SHUT_WR); // It may fail: they may be gone. Never mind.
        if (!leaving_) return;
        if (ended_) return end(nullptr);
        lingering_ = true;
        patience_ = reactor_.call_later(std::chrono::seconds(1), [this] { end(nullptr); });
        update();
    }

    // An end stays ready for ever: we do not ask for it twice. Once we have said that we go, we hear
    // nothing until all is sent, and then only to forget it.
    void update() {
        if (over_) return;
        reactor_.want(*this, {.reading = !ended_ && (leaving_ ? lingering_ : reading_),
                              .writing = !outbox_.empty()});
    }

    // Nothing more is heard or said. We may be in the middle of a call to the protocol: so it is told
    // later, in buried(), when there is nobody to whom it could return.
    void end(std::exception_ptr reason) {
        reactor_.insist_on_my_thread("abort_connection");
        if (std::exchange(over_, true)) return;
        reason_ = std::move(reason);
        patience_.cancel();
        reactor_.unwatch(*this);
    }

    void buried() override try {
        over_ = true;
        patience_.cancel(); // Whoever unwatched us need not have asked end().
        protocol_->connection_lost(reason_);
    } catch (...) {
        log_line("connection_lost() failed: ", text_of(std::current_exception()));
    }

    Reactor& reactor_;
    const sockaddr_in peer_;
    const std::unique_ptr<Protocol> protocol_;
    Outbox outbox_;
    Timer patience_;
    bool reading_ = true;
    bool paused_ = false;       // the protocol was told not to write
    bool half_closing_ = false; // we say no more than what is unsent, but we listen
    bool ended_ = false;        // they say no more
    bool leaving_ = false;      // we say no more than what is unsent
    bool lingering_ = false;    // ... and have said it
    bool over_ = false;
    std::exception_ptr reason_; // of the end
};
