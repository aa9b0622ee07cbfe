// 05 event framework, step 4: calls from other threads.
//
// Idea     The loop belongs to one thread, so nothing in it needs a lock. Another thread does not
//          reach into it: it leaves a note, and rings. The loop reads the note in its own thread.
// Run it   ./lab run 05/4    and    kill PID,  kill -USR1 PID
// See      A thread waits for signals. SIGTERM: it posts a stop(), and the program ends with
//          status 0. SIGUSR1: it calls the loop without post(), and is told what is wrong with that.
// Was      SIGTERM killed step 3, and another thread could only have done harm.
// Broken   Each Caller still does all by itself: recv(), send(), the rest that did not fit.
// New      post_box.hpp
// Changed  reactor.hpp

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"
#include "number.hpp"
#include "reactor.hpp"
#include "standard_streams.hpp"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

// One caller and their service.
class Caller final : public Watcher {
public:
    Caller(Reactor& reactor, Fd caller) : Watcher(std::move(caller)), reactor_(reactor) {}
    ~Caller() override { waking_.cancel(); } // Or else a dead caller is called.

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

    // The handler sleeps. We do not: we want to be called.
    void nap() {
        const auto time = service_->nap();
        if (!time || napping_ || !service_->unsent().empty()) return;
        napping_ = true;
        waking_ = reactor_.call_later(*time, [this] { wake(); });
    }

    void wake() try {
        napping_ = false;
        service_->woke();
        go_on();
    } catch (const std::exception& error) {
        lost(error);
    }

    void lost(const std::exception& error) {
        log_line("lost a caller: ", error.what());
        reactor_.unwatch(*this);
    }

    Reactor& reactor_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until the last step.
    std::unique_ptr<Service> service_ = make_service("hotline", "event", descriptor(), alone_);
    Timer waking_;
    bool napping_ = false;
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
        reactor_.watch(std::make_unique<Caller>(reactor_, std::move(caller)),
                       {.reading = true, .writing = true});
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
