// Exercise 03/closing, solved in another way: threads are counted, not joined.
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"

#include <sys/select.h>
#include <sys/socket.h>

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

// Knows who is there, but no threads: it counts. A thread that counts itself out has nothing more to
// do with us.
class Shop {
public:
    ~Shop() {
        std::unique_lock lock(mutex_);
        for (const int number : numbers_)
            ::shutdown(number, SHUT_RD);
        const auto nobody_is_here = [this] { return numbers_.empty(); };
        if (somebody_left_.wait_for(lock, std::chrono::seconds(1), nobody_is_here)) return;
        for (const int number : numbers_)
            ::shutdown(number, SHUT_RDWR);
        somebody_left_.wait(lock, nobody_is_here);
    }

    void let_in(Fd caller) {
        const std::lock_guard lock(mutex_);
        numbers_.push_back(caller.number());
        std::thread([this, caller = std::move(caller)]() mutable {
            talk(caller);
            count_out(std::move(caller));
        }).detach();
    }

    void sweep() const {} // A detached thread clears itself away.

private:
    // The number goes from the list before it is closed, all under the lock: nobody calls shutdown()
    // for who gets the number next. And notify_all_at_thread_exit() tells the shop only when the
    // thread has left all its functions: until then it holds the lock for us, and the shop stands.
    void count_out(Fd caller) {
        std::unique_lock lock(mutex_);
        numbers_.remove(caller.number());
        caller = Fd();
        std::notify_all_at_thread_exit(somebody_left_, std::move(lock));
    }

    std::mutex mutex_; // guards what follows
    std::condition_variable somebody_left_;
    std::list<int> numbers_; // the descriptors of those who are here
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
