// The hotline and the echo service, as handlers of any server of the family.
#pragma once

#include "base_server.hpp"
#include "converse.hpp"
#include "datagram_request_handler.hpp"
#include "echo.hpp"
#include "hotline.hpp"
#include "make_service.hpp"
#include "stream_request_handler.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

// What all handlers of a server know.
struct Desk {
    std::string service; // hotline or echo
    std::string model;   // the server's class, for the greeting
    Seconds idle_timeout;
    Switchboard& switchboard;
};

// Its base says how it reads and writes. A datagram is a whole conversation, greeting and all: its
// end is the end of what the caller says.
template <typename Base>
class HotlineHandler final : public Base {
    static constexpr bool is_stream = std::is_base_of_v<StreamRequestHandler, Base>;

public:
    HotlineHandler(Incoming& incoming, const Address& address, BaseServer& its_server,
                   const Desk& desk)
        : Base(incoming, address, its_server), desk_(desk) {
        if constexpr (is_stream) {
            this->rbufsize = 16 * 1024;
            this->disable_nagle_algorithm = address.family() == AF_INET;
        }
    }

protected:
    void handle() override {
        const auto service = make_service();
        while (!service->finished() && !is_over_)
            if (!service->unsent().empty())
                speak(*service);
            else if (const auto nap = service->nap())
                sleep(*service, *nap);
            else
                hear(*service);
        is_said_ = true;
    }

    void finish() override {
        Base::finish();
        if constexpr (is_stream)
            if (is_said_) say_goodbye(this->request.socket, this->patience.left());
    }

private:
    std::unique_ptr<Service> make_service() const {
        if (desk_.service == "echo") return std::make_unique<Echo>();
        const int number = is_stream ? this->request.socket.number() : this->server.fileno();
        return std::make_unique<Hotline>(Setting{.model = desk_.model,
                                                 .pid = ::getpid(),
                                                 .thread = std::to_string(::gettid()),
                                                 .descriptor = number,
                                                 .address = this->client_address.text(),
                                                 .date = date_now,
                                                 .crash = [] { std::abort(); }},
                                         desk_.switchboard);
    }

    // Each piece that they take is progress.
    void speak(Service& service) {
        const auto piece = service.unsent().substr(0, 16 * 1024);
        this->patience.timeout = left();
        this->wfile.write(piece);
        service.sent(piece.size());
        progress();
    }

    void sleep(Service& service, Seconds time) {
        this->patience.nap(time);
        service.woke();
        progress(); // It was us who were slow.
    }

    // A byte now and then is no progress, a whole request is.
    void hear(Service& service) {
        this->patience.timeout = left();
        const std::string bytes = this->rfile.read1(service.room());
        if (!bytes.empty())
            service.receive(bytes);
        else if (this->patience.is_over())
            is_over_ = true;
        else
            service.end_of_input();
        if (std::exchange(requests_, service.requests()) != service.requests()) progress();
    }

    void progress() { last_progress_ = Clock::now(); }

    // Of the time for one request; nothing: for ever.
    std::optional<Seconds> left() const {
        if (desk_.idle_timeout == Seconds(0)) return std::nullopt;
        return desk_.idle_timeout - (Clock::now() - last_progress_);
    }

    const Desk& desk_;
    bool is_over_ = false; // the server hangs up, and nothing is owed
    bool is_said_ = false; // all that was to be said
    std::uint64_t requests_ = 0;
    Clock::time_point last_progress_ = Clock::now();
};
