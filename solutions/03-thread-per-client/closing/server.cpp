// Exercise 03/closing, solved: every thread has an owner, and every sleeper is woken.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <list>
#include <mutex>
#include <string_view>
#include <thread>

volatile std::sig_atomic_t stop_asked = 0;
extern "C" void ask_to_stop(int /*number*/) {
    stop_asked = 1;
}

void say(const Fd& caller, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), bytes.data(), bytes.size(), 0); });
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// Says again what the customer says, until they or the shop have ended it.
void talk(const Fd& caller) try {
    std::array<char, 65536> bytes; // NOLINT(*-member-init): recv() fills it.
    while (true) {
        const ssize_t count =
            insist("recv", [&] { return ::recv(caller.number(), bytes.data(), bytes.size(), 0); });
        if (count == 0) return;
        say(caller, {bytes.data(), static_cast<size_t>(count)});
    }
} catch (const std::exception& error) {
    std::cerr << "lost a customer: " << error.what() << '\n';
}

// Knows who is there, and the thread of each.
class Shop {
public:
    // recv() is told that nothing more comes, so what came before is still said again. Who does not
    // take it within a second loses it.
    ~Shop() {
        std::unique_lock lock(mutex_);
        end_all(SHUT_RD);
        somebody_left_.wait_for(lock, std::chrono::seconds(1), [this] {
            return std::all_of(customers_.begin(), customers_.end(),
                               [](const Customer& one) { return one.has_left; });
        });
        end_all(SHUT_RDWR);
        lock.unlock(); // Who leaves needs it, and each thread is joined now.
        customers_.clear();
    }

    // The thread waits for our lock before it looks at its customer.
    void let_in(Fd caller) {
        const std::lock_guard lock(mutex_);
        Customer& customer = customers_.emplace_back();
        customer.caller = std::move(caller);
        customer.thread = std::jthread([this, &customer] { serve(customer); });
    }

    // A thread that has ended keeps its stack until it is joined.
    void sweep() {
        const std::lock_guard lock(mutex_);
        customers_.remove_if([](const Customer& customer) { return customer.has_left; });
    }

private:
    struct Customer {
        Fd caller;
        bool has_left = false;
        std::jthread thread; // the last member: it ends first, and to end is to be joined
    };

    // To leave is the thread's last act: who joins it then, with our lock in hand, need not wait
    // for anything that takes the lock.
    void serve(Customer& customer) {
        talk(customer.caller);
        const std::lock_guard lock(mutex_);
        customer.caller = Fd();
        customer.has_left = true;
        somebody_left_.notify_one();
    }

    void end_all(int direction) {
        for (const Customer& customer : customers_)
            if (!customer.has_left) ::shutdown(customer.caller.number(), direction);
    }

    std::mutex mutex_; // guards what follows
    std::condition_variable somebody_left_;
    std::list<Customer> customers_;
};

// The signal gets through only while pselect() sleeps. So none comes between the look at the flag
// and the sleep. All other threads begin with what is blocked here, and are left in peace.
sigset_t handle_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    struct sigaction action {};
    action.sa_handler = ask_to_stop;
    check(::sigaction(SIGTERM, &action, nullptr), "sigaction");
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    return before;
}

// Sleeps until somebody calls or a signal comes.
bool somebody_calls(const Fd& listener, const sigset_t& mask) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(listener.number(), &ready);
    const int count = ::pselect(listener.number() + 1, &ready, nullptr, nullptr, nullptr, &mask);
    if (count == -1 && errno == EINTR) return false;
    return check(count, "pselect") > 0;
}

int main() try {
    const sigset_t mask = handle_signals();
    Shop shop;
    const Fd listener = listen_on("127.0.0.1", 0);
    while (stop_asked == 0) {
        if (somebody_calls(listener, mask))
            shop.let_in(
                Fd(check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept")));
        shop.sweep();
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
