// 05 event framework, step 5: a write that never waits.
//
// Idea     A Transport owns the connection and what is still to be said. You write, and go on; it
//          keeps what the kernel does not take, and asks for write interest while it does. It knows
//          two ends: lose_connection() says all that is unsent, abort_connection() does not.
// Run it   ./lab run 05/5    and    ./lab client 01 -- --port PORT
// See      `big 5000000`, then `exit` with more words behind it: all five million bytes, and the end.
// Was      In step 4 each Caller did this by itself, and closed with words unread: a reset.
// Broken   "Never waits" has its price: it keeps what it cannot send, as much as you like. And to
//          test a Caller you need a network.
// New      hear.hpp, outbox.hpp, socket_transport.hpp

#include "accept_errors.hpp"
#include "byte_queue.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "number.hpp"
#include "reactor.hpp"
#include "socket_transport.hpp"
#include "standard_streams.hpp"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

// One caller and their service. No recv() and no send() in it.
class Caller final : public SocketTransport {
public:
    Caller(Reactor& reactor, Fd caller)
        : SocketTransport(reactor, std::move(caller)), reactor_(reactor) {}
    ~Caller() override { waking_.cancel(); } // Or else a dead caller is called.

    // Goes on as far as it can, and says why it stops.
    void go_on() {
        while (true) {
            if (const auto text = service_->unsent(); !text.empty()) {
                write(text);
                service_->sent(text.size());
            } else if (const auto time = service_->nap()) {
                return nap(*time);
            } else if (service_->finished()) {
                return lose_connection();
            } else if (!heard_.empty()) {
                const auto bytes = heard_.front().substr(0, service_->room());
                service_->receive(bytes);
                heard_.pop(bytes.size());
            } else if (ended_ && service_->room() > 0) {
                service_->end_of_input();
            } else {
                return;
            }
        }
    }

private:
    // A transport hears up to 64 KiB, and the service takes less. What does not fit waits.
    void data_received(std::string_view bytes) override {
        heard_.push(bytes);
        go_on();
    }

    void eof_received() override {
        ended_ = true;
        go_on();
    }

    void connection_lost(const std::exception_ptr& reason) override {
        if (reason) log_line("lost a caller: ", text_of(reason));
    }

    // The handler sleeps. We do not: we want to be called.
    void nap(std::chrono::milliseconds time) {
        if (!std::exchange(napping_, true)) waking_ = reactor_.call_later(time, [this] { wake(); });
    }

    void wake() try {
        napping_ = false;
        service_->woke();
        go_on();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
        abort_connection();
    }

    Reactor& reactor_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until the last step.
    std::unique_ptr<Service> service_ = make_service("hotline", "event", descriptor(), alone_);
    ByteQueue heard_;
    Timer waking_;
    bool napping_ = false;
    bool ended_ = false; // they say no more
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
        reactor_.want(*this, {});
        reactor_.call_later(1s, [this] { reactor_.want(*this, {.reading = true}); });
    }

private:
    void let_in(Fd caller) try {
        auto owned = std::make_unique<Caller>(reactor_, std::move(caller));
        Caller& guest = *owned;
        reactor_.watch(std::move(owned), {.reading = true});
        guest.go_on(); // The greeting.
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
    }

    Reactor& reactor_;
};

// Sleeps until a signal comes, in a thread of its own: all signals stand still for the others
// (main blocks them), so no handler ever interrupts anybody. SIGUSR1 makes the mistake on purpose.
class SignalThread {
public:
    explicit SignalThread(Reactor& reactor) : thread_([&reactor] { listen(reactor); }) {}
    // At an end without a signal we send one ourselves.
    ~SignalThread() {
        ::kill(::getpid(), SIGTERM);
        thread_.join();
    }
    SignalThread(const SignalThread&) = delete;
    SignalThread& operator=(const SignalThread&) = delete;

    static sigset_t signals() {
        sigset_t set;
        sigemptyset(&set);
        for (const int number : {SIGTERM, SIGINT, SIGUSR1})
            sigaddset(&set, number);
        return set;
    }

private:
    static void listen(Reactor& reactor) {
        const sigset_t set = signals();
        int number = 0;
        while (sigwait(&set, &number) == 0 && number == SIGUSR1) {
            try {
                reactor.call_later(0s, [] { log_line("nobody will ever read this"); });
            } catch (const std::logic_error& error) {
                log_line("refused: ", error.what());
            }
        }
        reactor.post([&reactor] { reactor.stop(); });
    }

    std::thread thread_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const sigset_t signals = SignalThread::signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr); // The new thread inherits this.
    const in_port_t port = port_from(argc, argv);
    Reactor reactor;
    reactor.watch(std::make_unique<Door>(reactor, listen_on("127.0.0.1", port, SOCK_NONBLOCK)),
                  {.reading = true});
    const SignalThread signal_thread(reactor);
    reactor.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
