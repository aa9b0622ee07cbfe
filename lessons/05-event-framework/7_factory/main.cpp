// 05 event framework, step 7: who makes protocols.
//
// Idea     A Protocol lives as long as one connection. What lasts longer, and what all share, is the
//          Factory's: it builds a protocol for each caller. Now nothing about our service is left in
//          the machinery: EventLoop, ListeningPort and Transport would carry any other as well.
// Run it   ./lab run 05/7    and    ./lab client 01 -- --port PORT
// See      `count` in two conversations: they count together.
// Was      In step 6 each protocol had all of its own, and the Door knew the hotline by name.
// Broken   Each protocol finds its own lines in what arrives.
// New      factory.hpp, listening_port.hpp, event_loop.hpp

#include "byte_queue.hpp"
#include "event_loop.hpp"
#include "factory.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "number.hpp"
#include "protocol.hpp"
#include "standard_streams.hpp"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
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
    HotlineProtocol(Clock& clock, Switchboard& switchboard)
        : clock_(clock), switchboard_(switchboard) {}
    ~HotlineProtocol() override { waking_.cancel(); } // Or else a dead protocol is called.

    void connection_made(Transport& transport) override {
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
    Switchboard& switchboard_;
    std::unique_ptr<Service> service_;
    ByteQueue heard_;
    Timer waking_;
    bool napping_ = false;
    bool ended_ = false; // they say no more
};

// Gives each caller a protocol, and to all of them the same switchboard.
class HotlineFactory final : public Factory {
public:
    HotlineFactory(Clock& clock, Switchboard& switchboard)
        : clock_(clock), switchboard_(switchboard) {}

    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return std::make_unique<HotlineProtocol>(clock_, switchboard_);
    }

private:
    Clock& clock_;
    Switchboard& switchboard_;
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
    PlainSwitchboard switchboard; // It outlives the loop, which owns all who use it.
    EventLoop loop;
    HotlineFactory factory(loop, switchboard);
    loop.listen(factory, "127.0.0.1", port);
    const SignalThread signal_thread(loop);
    loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
