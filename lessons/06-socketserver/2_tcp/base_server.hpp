// The skeleton of every server.
#pragma once

#include "address.hpp"
#include "incoming.hpp"
#include "log.hpp"
#include "readiness.hpp"

#include <poll.h>

#include <atomic>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

// Waits for requests, and leads each through the same stations. It does not know where they come
// from: that is what a derived class says. The names, the order and the defaults are those of Python's
// socketserver (docs.python.org/3.11/library/socketserver.html).
class BaseServer {
public:
    BaseServer() = default;
    BaseServer(const BaseServer&) = delete;
    BaseServer& operator=(const BaseServer&) = delete;
    virtual ~BaseServer() = default;

    // How long handle_request() waits before it calls handle_timeout(). Nothing: for ever.
    std::optional<Seconds> timeout;

    // The descriptor that is readable when a request is there. With it a server can stand in
    // somebody else's select().
    virtual int fileno() const = 0;

    // Handles one request after another, until somebody calls shutdown(). It looks up for that after
    // each request, or after so many seconds without one. Ignores `timeout`.
    void serve_forever(Seconds poll_interval = Seconds(0.5)) {
        const Serving serving(*this);
        while (!shutdown_request_) {
            const bool ready = wait_for_request(poll_interval);
            if (shutdown_request_) break;
            if (ready) handle_request_noblock();
            service_actions();
        }
    }

    // Ends serve_forever(), and waits until it has returned. So call it from another thread: who
    // serves would wait for themselves.
    void shutdown() {
        shutdown_request_ = true;
        is_serving_.wait(true);
    }

    // Waits for one request, `timeout` at most, and handles it.
    void handle_request() {
        const auto end = Clock::now() + timeout.value_or(Seconds(0));
        while (!wait_for_request(timeout ? Seconds(end - Clock::now()) : Seconds(1)))
            if (timeout && Clock::now() >= end) return handle_timeout();
        handle_request_noblock();
    }

protected:
    // The stations, in their order. A derived class says what is special about its own; they are not
    // there to be called from outside.

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

    // The work itself.
    virtual void finish_request(Incoming& request, const Address& client_address) = 0;

    // The end of a request, whatever has become of it: says goodbye, then closes.
    virtual void shutdown_request(Incoming& request) { close_request(request); }
    virtual void close_request(Incoming& /*request*/) {}

    // The work has thrown. This request is over, the server goes on.
    virtual void handle_error(const Incoming& /*request*/, const Address& client_address,
                              const std::exception& error) {
        log_line("lost a caller, ", client_address.text(), ": ", error.what());
    }

    virtual void handle_timeout() {}  // handle_request() has waited in vain.
    virtual void service_actions() {} // serve_forever() has made one turn.

private:
    // While it lives, somebody is in serve_forever(). Its end is the end, by whatever way.
    class Serving {
    public:
        explicit Serving(BaseServer& server) : server_(server) { server_.is_serving_ = true; }
        Serving(const Serving&) = delete;
        Serving& operator=(const Serving&) = delete;
        ~Serving() {
            server_.shutdown_request_ = false;
            server_.is_serving_ = false;
            server_.is_serving_.notify_all();
        }

    private:
        BaseServer& server_;
    };

    bool wait_for_request(Seconds time) const { return is_ready(fileno(), POLLIN, time); }

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
        }
    }

    std::optional<std::pair<Incoming, Address>> next_request() try {
        return get_request();
    } catch (const std::system_error&) {
        return std::nullopt;
    }

    std::atomic<bool> shutdown_request_ = false;
    std::atomic<bool> is_serving_ = false;
};
