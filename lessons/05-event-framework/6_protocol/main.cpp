// 05 event framework, step 6: a conversation without a socket.
//
// Idea     A Protocol is what is said and answered: made, data, perhaps eof, then lost, once. It
//          talks to a Transport, and does not know which. With a socket behind it, it serves; with
//          a string and a FakeClock behind it, it is tested, to the last case and in no time.
// Run it   ./build/lessons/05-event-framework/6_protocol rehearse    and    ./lab run 05/6
// See      The hotline talks, sleeps for a minute, and says goodbye: no network, no minute.
// Was      In step 5 a Caller was a socket, and only a network could test it.
// Broken   Who makes protocols? The Door knows ours by name, and they have nothing in common.
// New      transport.hpp, protocol.hpp, memory_transport.hpp
// Changed  socket_transport.hpp

#include "accept_errors.hpp"
#include "byte_queue.hpp"
#include "check.hpp"
#include "fake_clock.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "memory_transport.hpp"
#include "number.hpp"
#include "protocol.hpp"
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
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

// The hotline, whoever carries its bytes.
class HotlineProtocol final : public Protocol {
public:
    explicit HotlineProtocol(Clock& clock) : clock_(clock) {}
    ~HotlineProtocol() override { waking_.cancel(); } // Or else a dead protocol is called.

    void connection_made(Transport& transport) override {
        service_ = std::make_unique<Hotline>(Setting{.model = "event",
                                                     .pid = ::getpid(),
                                                     .thread = std::to_string(::gettid()),
                                                     .descriptor = transport.number(),
                                                     .address = transport.peer(),
                                                     .date = date_now,
                                                     .crash = [] { std::abort(); }},
                                             alone_);
        go_on(); // The greeting.
    }

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

private:
    // Goes on as far as it can, and says why it stops.
    void go_on() {
        while (true) {
            if (const auto text = service_->unsent(); !text.empty()) {
                transport().write(text);
                service_->sent(text.size());
            } else if (const auto time = service_->nap()) {
                return nap(*time);
            } else if (service_->finished()) {
                return transport().lose_connection();
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

    // The handler sleeps. We do not: we want to be called.
    void nap(std::chrono::milliseconds time) {
        if (!std::exchange(napping_, true)) waking_ = clock_.call_later(time, [this] { wake(); });
    }

    void wake() try {
        napping_ = false;
        service_->woke();
        go_on();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
        transport().abort_connection();
    }

    Clock& clock_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until the last step.
    std::unique_ptr<Service> service_;
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
        sockaddr_in address{};
        socklen_t size = sizeof address;
        Fd caller(::accept4(number(), reinterpret_cast<sockaddr*>(&address), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (caller.number() != -1) return let_in(std::move(caller), address);
        if (errno == EAGAIN || passes(errno)) return;
        if (!is_short_of_room(errno)) check(-1, "accept");
        log_line("no room for a caller: ", std::strerror(errno), "; I wait a second");
        reactor_.want(*this, {});
        reactor_.call_later(1s, [this] { reactor_.want(*this, {.reading = true}); });
    }

private:
    void let_in(Fd caller, const sockaddr_in& address) try {
        auto owned = std::make_unique<SocketTransport>(reactor_, std::move(caller), address,
                                                       std::make_unique<HotlineProtocol>(reactor_));
        SocketTransport& transport = *owned;
        reactor_.watch(std::move(owned), {.reading = true});
        transport.begin();
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

// A conversation without a caller: a minute of sleep is in it, and it takes no time.
void rehearse() {
    FakeClock clock;
    MemoryTransport transport;
    HotlineProtocol protocol(clock);
    protocol.make_connection(transport);
    for (const std::string_view bytes :
         {"echo he", "y\n0\n", "sleep 60000\nupper good morning\n"}) {
        protocol.data_received(bytes);
        std::cout << transport.take();
    }
    clock.advance(60s);
    std::cout << transport.take();
    protocol.data_received("exit\n");
    std::cout << (transport.losing() ? "the end" : "they stay") << '\n';
}

int main(int argc, char** argv) try {
    if (argc > 1 && std::string_view(argv[1]) == "rehearse") {
        rehearse();
        return EXIT_SUCCESS;
    }
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    const sigset_t signals = SignalThread::signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr); // The new thread inherits this.
    const in_port_t port = port_from(argc, argv, "[PORT | rehearse]");
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
