// The skeleton of every server.
#pragma once

#include "address.hpp"
#include "base_request_handler.hpp"
#include "incoming.hpp"
#include "log.hpp"
#include "readiness.hpp"
#include "shift.hpp"

#include <poll.h>

#include <exception>
#include <optional>
#include <system_error>
#include <utility>

// Waits for requests, and leads each through the same stations. It does not know where they come
// from: that is what a derived class says. The names, the order and the defaults are those of
// Python's socketserver (docs.python.org/3.11/library/socketserver.html).
class BaseServer {
public:
    explicit BaseServer(RequestHandlerClass handler_class)
        : RequestHandlerClass_(std::move(handler_class)) {}
    BaseServer(const BaseServer&) = delete;
    BaseServer& operator=(const BaseServer&) = delete;
    virtual ~BaseServer() = default;

    // How long handle_request() waits before it calls handle_timeout(). Nothing: for ever.
    std::optional<Seconds> timeout;

    // The descriptor that is readable when a request is there. With it a server can stand in
    // somebody else's select().
    virtual int fileno() const = 0;

    // Handles one request after another, until somebody calls shutdown(). Looks up for that, and
    // calls service_actions(), after each request and after so many seconds without one. Ignores
    // `timeout`.
    void serve_forever(Seconds poll_interval = Seconds(0.5)) {
        const Shift::OnDuty on_duty(shift_);
        while (!shift_.take_stop()) {
            const bool ready = wait_for_request(poll_interval);
            if (shift_.take_stop()) break;
            if (ready) handle_request_noblock();
            service_actions();
        }
    }

    // Ends serve_forever(), and waits until it has returned; where nobody serves, the next one
    // returns at once. Call it from another thread: who serves would wait for themselves.
    void shutdown() {
        const unsigned running = shift_.number();
        shift_.ask_to_stop();
        shift_.wait_for_end_of(running);
    }

    // Waits for one request, `timeout` at most, and handles it.
    void handle_request() {
        const auto end = deadline_in(timeout.value_or(Seconds(0)));
        while (!wait_for_request(timeout ? Seconds(end - Clock::now()) : Seconds(1)))
            if (timeout && Clock::now() >= end) return handle_timeout();
        handle_request_noblock();
    }

protected:
    // The stations, in their order. A derived class says what is special about its own; they are
    // not there to be called from outside.

    // The next request, and whose it is. Throws std::system_error where there is none after all.
    virtual std::pair<Incoming, Address> get_request() = 0;

    // False: this one is not handled.
    virtual bool verify_request(const Incoming& /*request*/, const Address& /*client_address*/) {
        return true;
    }

    // From here to the end of the request. May move it away, to another thread or process.
    virtual void process_request(Incoming& request, const Address& client_address) {
        finish_request(request, client_address);
        shutdown_request(request);
    }

    // The work itself: a handler is made for this request, and lives as long as it.
    virtual void finish_request(Incoming& request, const Address& client_address) {
        RequestHandlerClass_(request, client_address, *this)->run();
    }

    // The end of a request, whatever has become of it: says goodbye, then closes.
    virtual void shutdown_request(Incoming& request) { close_request(request); }
    virtual void close_request(Incoming& /*request*/) {}

    // The work has thrown. This request is over, the server goes on.
    virtual void handle_error(const Incoming& /*request*/, const Address& /*client_address*/,
                              const std::exception& error) {
        log_line("lost a caller: ", error.what());
    }

    virtual void handle_timeout() {}  // handle_request() has waited in vain.
    virtual void service_actions() {} // serve_forever() has made one turn.

private:
    bool wait_for_request(Seconds time) const {
        return is_ready(check_open(fileno()), POLLIN, time);
    }

    // It is there, so nothing here waits for it; but who has come may be gone again.
    void handle_request_noblock() {
        auto arrived = next_request();
        if (!arrived) return;
        auto& [request, client_address] = *arrived;
        try {
            if (verify_request(request, client_address))
                process_request(request, client_address);
            else
                shutdown_request(request);
        } catch (const std::exception& error) {
            handle_error(request, client_address, error);
            shutdown_request(request);
        } catch (...) { // Python's KeyboardInterrupt, for example: no hook's business.
            shutdown_request(request);
            throw;
        }
    }

    std::optional<std::pair<Incoming, Address>> next_request() try {
        return get_request();
    } catch (const std::system_error&) {
        return std::nullopt;
    }

    const RequestHandlerClass RequestHandlerClass_;
    Shift shift_;
};
