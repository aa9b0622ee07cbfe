// 02 select, step 6: ready is a hint.
//
// Idea     select() tells what was true a moment ago. A caller can be gone when we pick up, and a
//          packet that made a socket ready can turn out broken. So no call may sleep: accept() and
//          recv() come back with EAGAIN, "nothing there", and we ask select() again.
// Run it   ./lab run 02/6    and    ./lab client 02
// See      With your own eyes, nothing: it happens once in a million calls. The test makes it happen
//          each time, with a select() that lies.
// Was      Step 5 believed that a ready call never sleeps. Once it does, everybody waits.
// Broken   send() still sleeps, while one caller does not read: everybody waits for them.

#include "accept_errors.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "insist.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <list>
#include <memory>
#include <optional>
#include <thread>

// One caller, and how far the conversation with them has come.
class Client {
public:
    explicit Client(Fd caller) : caller_(std::move(caller)) {}

    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    void serve(bool readable) try {
        if (readable) hear();
        speak();
        over_ |= service_->finished();
    } catch (const std::exception& error) {
        log_line("lost a caller: ", error.what());
        over_ = true;
    }

private:
    // Hears one piece. It may be half a line, or ten lines.
    void hear() {
        std::array<char, 16384> bytes; // NOLINT(*-member-init): recv() fills it.
        const auto room = std::min(bytes.size(), service_->room());
        const auto count = ::recv(number(), bytes.data(), room, MSG_DONTWAIT);
        if (count == -1 && (errno == EAGAIN || errno == EINTR)) return;
        if (check(count, "recv") == 0)
            over_ = true; // They have hung up.
        else
            service_->receive({bytes.data(), static_cast<size_t>(count)});
    }

    // Says all that they are owed. If the handler sleeps, then with it the whole server.
    void speak() {
        while (true) {
            if (const auto text = service_->unsent(); !text.empty()) {
                const auto count =
                    insist("send", [&] { return ::send(number(), text.data(), text.size(), 0); });
                service_->sent(static_cast<size_t>(count));
            } else if (const auto nap = service_->nap()) {
                std::this_thread::sleep_for(*nap);
                service_->woke();
            } else
                return;
        }
    }

    Fd caller_;
    PlainSwitchboard alone_; // Nobody hears what the others say, until step 13.
    std::unique_ptr<Service> service_ = make_service("hotline", "select", caller_, alone_);
    bool over_ = false;
};

// The next caller, if there is one.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller != -1) return Fd(caller);
    if (errno != EAGAIN && !passes(errno)) check(caller, "accept");
    return std::nullopt;
}

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0, SOCK_NONBLOCK);
    std::list<Client> clients;
    while (true) {
        // A set of descriptors: one bit for each number. select() writes its answer into the same
        // set, so the question is asked anew each time. A listener is ready when somebody calls.
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(listener.number(), &ready);
        int highest = listener.number();
        for (const Client& client : clients) {
            FD_SET(client.number(), &ready);
            highest = std::max(highest, client.number());
        }

        // The kernel looks at the numbers below the first argument: not how many there are, but
        // one more than the highest.
        insist("select", [&] { return ::select(highest + 1, &ready, nullptr, nullptr, nullptr); });

        for (Client& client : clients)
            client.serve(FD_ISSET(client.number(), &ready));
        std::erase_if(clients, [](const Client& client) { return client.over(); });
        if (!FD_ISSET(listener.number(), &ready)) continue;
        if (auto caller = pick_up(listener)) {
            clients.emplace_back(std::move(*caller));
            clients.back().serve(false); // the greeting
        }
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
