// 02 select, step 4: many clients.
//
// Idea     What lay on the stack of a function that served one caller moves into an object: the
//          conversation so far. There is one for each caller, and select() says whose turn it is.
// Run it   ./lab run 02/4    and    ./lab client 02
// See      Three talk at once, and each gets their own answers.
// Was      Step 3 could only echo.
// Broken   The one who hangs up leaves a number behind, and the next one gets it: in the same pass.

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
#include <thread>

// One caller, and how far the conversation with them has come.
class Client {
public:
    explicit Client(Fd caller) : caller_(std::move(caller)) {}

    int number() const { return caller_.number(); }
    bool over() const { return over_; }

    // Have they hung up? MSG_PEEK looks at what has come and takes nothing.
    bool has_left() const {
        char byte{};
        return ::recv(number(), &byte, 1, MSG_PEEK) == 0;
    }

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
        const auto count = check(::recv(number(), bytes.data(), room, 0), "recv");
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

int main() try {
    std::signal(SIGPIPE, SIG_IGN);
    const Fd listener = listen_on("127.0.0.1", 0);
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

        // Who has hung up makes room, then the next one comes in, then everybody is served.
        std::erase_if(clients, [&](const Client& client) {
            return FD_ISSET(client.number(), &ready) && client.has_left();
        });
        if (FD_ISSET(listener.number(), &ready))
            clients.emplace_back(
                Fd(check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept")));
        for (Client& client : clients)
            client.serve(FD_ISSET(client.number(), &ready));
        std::erase_if(clients, [](const Client& client) { return client.over(); });
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
