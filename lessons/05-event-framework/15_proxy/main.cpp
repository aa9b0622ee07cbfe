// 05 event framework, step 15: a proxy.
//
// Idea     Two connections back to back: what comes in here goes out there. Everything must cross,
//          not only the bytes: who cannot be told more makes the other one wait; the end of a
//          direction ends it on the other side; who is lost is lost to both.
// Run it   ./lab run 02 -- --port 10086    and    ./lab run 05/15 -- 0 10086
//          and then    ./lab client 02 -- --port PORT
// See      Nobody notices that it is there, but for the greeting: the server sees another caller. A
//          gigabyte goes through, and its memory stays as it is.
// Was      "A proxy is a loop that copies." Such a loop keeps what a slow reader has not read yet.
// Broken   Whoever stops this server stops all that is under way, in the middle of a word.

#include "adopt.hpp"
#include "connector.hpp"
#include "deferred.hpp"
#include "event_loop.hpp"
#include "factory.hpp"
#include "failure.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "number.hpp"
#include "protocol.hpp"
#include "standard_streams.hpp"
#include "timeout.hpp"

#include <netinet/in.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;

// One side of the proxy, and what it knows of the other.
class Side : public Protocol {
public:
    void data_received(std::string_view bytes) override {
        if (other_ != nullptr) other_->transport().write(bytes);
    }

    // Our kernel is full: they do not read. So we do not read, either, what is meant for them. Then
    // the kernel on the other side is full, and whoever writes there has to wait. Nobody counts
    // anything.
    void pause_writing() override {
        if (other_ != nullptr) other_->transport().pause_reading();
    }
    void resume_writing() override {
        if (other_ != nullptr) other_->transport().resume_reading();
    }

    // One direction is over. When both are, the two connections are.
    void eof_received() override {
        ended_ = true;
        if (other_ == nullptr) return transport().lose_connection();
        other_->transport().half_close();
        if (!other_->ended_) return;
        other_->transport().lose_connection();
        transport().lose_connection();
    }

    void connection_lost(const std::exception_ptr& reason) override {
        Side* other = std::exchange(other_, nullptr);
        if (other == nullptr) return;
        other->other_ = nullptr;
        if (reason)
            other->transport().abort_connection();
        else
            other->transport().lose_connection();
    }

protected:
    void join(Side& other) {
        other_ = &other;
        other.other_ = this;
    }

private:
    Side* other_ = nullptr; // Each is owned by its own transport. Who is lost says so to the other.
    bool ended_ = false;
};

// The side of the server.
class Back final : public Side {};

// The side of the caller. While we call the server for them, they have to wait.
class Front final : public Side {
public:
    Front(EventLoop& loop, const sockaddr_in& server) : loop_(loop), server_(server) {}

    void connection_made(Transport& transport) override {
        transport.pause_reading();
        add_timeout(calling_, loop_, 5s)
            .add_callback([this](Fd socket) {
                auto back = std::make_unique<Back>();
                Back& side = *back;
                adopt(loop_, std::move(socket), server_, std::move(back));
                join(side);
                this->transport().resume_reading();
            })
            .add_errback([this](const Failure& failure) {
                log_line("no server for a caller: ", failure.what());
                this->transport().abort_connection();
            });
    }

    void connection_lost(const std::exception_ptr& reason) override {
        calling_.cancel();
        Side::connection_lost(reason);
    }

private:
    EventLoop& loop_;
    const sockaddr_in server_;
    const Deferred<Fd> calling_ = connect_to(loop_, server_);
};

class ProxyFactory final : public Factory {
public:
    ProxyFactory(EventLoop& loop, const sockaddr_in& server) : loop_(loop), server_(server) {}

    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return std::make_unique<Front>(loop_, server_);
    }

private:
    EventLoop& loop_;
    const sockaddr_in server_;
};

// Arguments: our port, and the port of the server.
int main(int argc, char** argv) try {
    fill_standard_streams();
    constexpr const char* arguments = "PORT SERVER_PORT";
    if (argc != 3) refuse_arguments(argv[0], arguments, "takes two ports: ours, and the server's");
    const in_port_t port = port_from(argc, argv, arguments);
    const auto server =
        argument_from<in_port_t>(argv[0], arguments, "the server's port", argv[2], 1, 65535);
    EventLoop loop;
    ProxyFactory factory(loop, address_of("127.0.0.1", server));
    loop.listen(factory, "127.0.0.1", port);
    loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
