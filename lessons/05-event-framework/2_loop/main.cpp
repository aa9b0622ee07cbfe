// 05 event framework, step 2: a loop that calls you.
//
// Idea     The same with descriptors: register, and be called when something has happened there.
//          What was one loop in lesson 02 comes apart: the Reactor waits, and knows nothing about
//          callers; the Caller serves, and does not know that there are others.
// Run it   ./lab run 05/2    and    ./lab client 01 -- --port PORT
// See      It is the server of lesson 02. Nothing is faster, nothing can do more.
// Was      In step 1 a handler was called because its turn had come.
// Broken   A caller who says `sleep 5000` stops all others: nobody can be called at a later time.
// New      watcher.hpp, select_poller.hpp, reactor.hpp

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "number.hpp"
#include "reactor.hpp"
#include "standard_streams.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <thread>
#include <utility>

// One caller and their service.
class Caller final : public Watcher {
public:
    Caller(Reactor& reactor, Fd caller) : Watcher(std::move(caller)), reactor_(reactor) {}

    void readable() override try {
        hear();
        go_on();
    } catch (const std::exception& error) {
        lost(error);
    }

    void writable() override try {
        speak();
        go_on();
    } catch (const std::exception& error) {
        lost(error);
    }

private:
    void hear() {
        std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
        const auto room = std::min(bytes.size(), service_->room());
        const auto count = ::recv(number(), bytes.data(), room, 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        if (check(count, "recv") == 0)
            service_->end_of_input();
        else
            service_->receive({bytes.data(), static_cast<size_t>(count)});
    }

    void speak() {
        const auto text = service_->unsent();
        const auto count = ::send(number(), text.data(), text.size(), 0);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        service_->sent(static_cast<size_t>(check(count, "send")));
    }

    // What is next? At the end we are destroyed, and may not even look at a member.
    void go_on() {
        if (service_->finished()) return reactor_.unwatch(*this);
        nap();
        reactor_.want(*this,
                      {.reading = service_->room() > 0, .writing = !service_->unsent().empty()});
    }

    // If the handler sleeps, then with it the whole loop.
    void nap() {
        const auto time = service_->nap();
        if (!time || !service_->unsent().empty()) return;
        std::this_thread::sleep_for(*time);
        service_->woke();
    }

    void lost(const std::exception& error) {
        log_line("lost a caller: ", error.what());
        reactor_.unwatch(*this);
    }

    Reactor& reactor_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until the last step.
    std::unique_ptr<Service> service_ = make_service("hotline", "event", descriptor(), alone_);
};

// Where callers come in. For the reactor it is a descriptor like the others.
class Door final : public Watcher {
public:
    Door(Reactor& reactor, Fd listener) : Watcher(std::move(listener)), reactor_(reactor) {}

    void readable() override {
        Fd caller(::accept4(number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (caller.number() != -1) return let_in(std::move(caller));
        if (errno == EAGAIN || passes(errno)) return;
        if (!is_short_of_room(errno)) check(-1, "accept");
        log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
        ::sleep(1); // And everybody waits with me.
    }

private:
    void let_in(Fd caller) try {
        reactor_.watch(std::make_unique<Caller>(reactor_, std::move(caller)),
                       {.reading = true, .writing = true});
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
    }

    Reactor& reactor_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Reactor reactor;
    reactor.watch(std::make_unique<Door>(reactor, listen_on("127.0.0.1", port, SOCK_NONBLOCK)),
                  {.reading = true});
    reactor.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
