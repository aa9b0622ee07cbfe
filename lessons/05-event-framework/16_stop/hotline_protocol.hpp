// The hotline as a protocol: it carries the service of all lessons.
#pragma once

#include "byte_queue.hpp"
#include "guest.hpp"
#include "hotline.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

class HotlineProtocol final : public Guest {
public:
    HotlineProtocol(House& house, Switchboard& switchboard)
        : Guest(house), switchboard_(switchboard) {}
    ~HotlineProtocol() override { later_.cancel(); } // Or else a dead protocol is called.

    void connection_made(Transport& transport) override {
        Guest::connection_made(transport);
        service_ = std::make_unique<Hotline>(Setting{.model = "event",
                                                     .pid = ::getpid(),
                                                     .thread = std::to_string(::gettid()),
                                                     .descriptor = transport.number(),
                                                     .address = transport.peer(),
                                                     .date = date_now,
                                                     .crash = [] { std::abort(); }},
                                             switchboard_);
        go_on(); // The greeting.
    }

    // A transport hears up to 64 KiB, and the service takes less. What does not fit waits, and as long
    // as something waits nothing more is read.
    void data_received(std::string_view bytes) override {
        heard_.push(bytes);
        go_on();
        if (std::exchange(requests_, service_->requests()) != service_->requests()) progress();
    }

    void eof_received() override {
        ended_ = true;
        go_on();
    }

    void pause_writing() override { flooded_ = true; }
    void resume_writing() override {
        flooded_ = false;
        progress();
        go_on();
    }

    // What is owed is said. No more is heard.
    void shutting_down() override {
        stopping_ = true;
        go_on();
    }

    void connection_lost(const std::exception_ptr& reason) override {
        later_.cancel();
        service_.reset(); // It leaves the switchboard.
        Guest::connection_lost(reason);
    }

    // A call that is not the transport's: nobody else would catch.
    void called() override try {
        if (!transport().closing()) go_on();
    } catch (...) {
        log_line("lost a caller: ", text_of(std::current_exception()));
        transport().abort_connection();
    }

private:
    // So many pieces, and then the others have their turn: a caller who reads as fast as we write
    // would keep us for ever.
    static constexpr int pieces_in_turn = 16;

    void go_on() {
        for (int pieces = 0; !flooded_ && work();)
            if (++pieces == pieces_in_turn) {
                later_ = house().clock().call_later(Delay::zero(), [this] { called(); });
                return transport().pause_reading();
            }
        if (heard_.empty() && !ended_)
            transport().resume_reading();
        else
            transport().pause_reading();
    }

    // Goes one step on; false if there is something to wait for.
    bool work() {
        if (const auto text = service_->unsent(); !text.empty()) {
            transport().write(text);
            service_->sent(text.size());
        } else if (service_->finished() || stopping_) {
            transport().lose_connection();
            return false;
        } else if (const auto time = service_->nap()) {
            if (!std::exchange(napping_, true)) nap(*time);
            return false;
        } else if (!heard_.empty()) {
            const auto bytes = heard_.front().substr(0, service_->room());
            service_->receive(bytes);
            heard_.pop(bytes.size());
        } else if (ended_ && service_->room() > 0) {
            service_->end_of_input();
        } else {
            return false;
        }
        return true;
    }

    // The handler sleeps. We do not: we want to be called.
    void nap(std::chrono::milliseconds time) {
        suspend_deadline();
        later_ = house().clock().call_later(time, [this] {
            napping_ = false;
            service_->woke();
            resume_deadline();
            called();
        });
    }

    Switchboard& switchboard_;
    std::unique_ptr<Service> service_;
    ByteQueue heard_;
    std::uint64_t requests_ = 0;
    Timer later_;
    bool napping_ = false;
    bool flooded_ = false;
    bool stopping_ = false;
    bool ended_ = false; // they say no more
};
