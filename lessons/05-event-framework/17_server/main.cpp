// 05 event framework, step 17: the server.
//
// Idea     Whom to wait for is one question, and there are three ways to ask it: select(), poll() and
//          epoll. Behind one interface they can be exchanged, and nothing else changes: not the loop,
//          no transport, no protocol. epoll is not another architecture. It is another price.
// Run it   ./lab run 05    and    ./lab run 05 -- --poller select
// See      Whatever the poller, the same answers. With epoll ten thousand silent callers cost nothing
//          but memory; the other two ask about all of them, again and again.
// Was      Step 16 had room for 1,024 descriptors.
// Broken   A handler that computes stops everybody, and one that crashes takes all with it.
// New      echo_protocol.hpp, epoll_poller.hpp, poll_poller.hpp, poller.hpp, pollers.hpp
// Changed  event_loop.hpp, reactor.hpp, select_poller.hpp

#include "echo_protocol.hpp"
#include "event_loop.hpp"
#include "factory.hpp"
#include "hotline_protocol.hpp"
#include "house.hpp"
#include "log.hpp"
#include "options.hpp"
#include "pollers.hpp"
#include "signal_watcher.hpp"
#include "standard_streams.hpp"
#include "talk.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <memory>
#include <string>

using namespace std::chrono_literals;

constexpr auto grace = 1s; // How long callers may take to hear the end.

class ServiceFactory final : public Factory {
public:
    ServiceFactory(const std::string& service, House& house, Talk& talk)
        : echo_(service == "echo"), house_(house), talk_(talk) {}

    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        if (echo_) return std::make_unique<EchoProtocol>(house_);
        return std::make_unique<HotlineProtocol>(house_, talk_);
    }

private:
    const bool echo_;
    House& house_;
    Talk& talk_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    OwnOption poller{
        "poller",
        "  --poller NAME            who asks the kernel: select, poll, or epoll, the default\n",
        {"select", "poll", "epoll"},
        "epoll"};
    const Options options = options_from(argc, argv, {&poller});
    EventLoop loop(make_poller(poller.value));
    House house(loop, options.max_clients, options.idle_timeout);
    Talk talk(house);
    ServiceFactory factory(options.service, house, talk);
    const auto stop = [&](int /*number*/) {
        house.close();
        loop.wind_up(grace);
    };
    loop.watch(std::make_unique<SignalWatcher>(std::initializer_list<int>{SIGTERM, SIGINT}, stop),
               {.reading = true});
    house.open(loop.listen(factory, options.host, options.port));
    loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
