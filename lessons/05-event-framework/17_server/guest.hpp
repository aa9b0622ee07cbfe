// A protocol of a server that has rules.
#pragma once

#include "house.hpp"
#include "idle_watch.hpp"
#include "log.hpp"
#include "protocol.hpp"

#include <exception>
#include <memory>

class Guest : public Protocol, public Resident {
public:
    explicit Guest(House& house) : house_(house) {}

    // Whoever overrides these two calls them, too.
    void connection_made(Transport& transport) override {
        house_.came(*this);
        const Delay limit = house_.idle_timeout();
        if (limit > Delay::zero())
            idle_ = std::make_unique<IdleWatch>(house_.clock(), transport, limit);
    }
    void connection_lost(const std::exception_ptr& reason) override {
        if (reason) log_line("lost a caller: ", text_of(reason));
        idle_.reset();
        house_.left(*this);
    }

protected:
    House& house() const { return house_; }

    void progress() {
        if (idle_) idle_->progress();
    }
    void suspend_deadline() {
        if (idle_) idle_->suspend();
    }
    void resume_deadline() {
        if (idle_) idle_->resume();
    }

private:
    House& house_;
    std::unique_ptr<IdleWatch> idle_; // Where there is no deadline it costs nothing.
};
