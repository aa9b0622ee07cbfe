// 05 event framework, step 16: the end.
//
// Idea     A program ends as a conversation does: nobody new comes in, what is owed is said, there is
//          a deadline, and whoever has not finished by then is left. Everybody takes part in the way
//          that is theirs: the port closes, a transport asks its protocol, a protocol says the rest.
//          And a signal is a descriptor like the others.
// Run it   ./lab run 05/16    and    ./lab client 01 -- --port PORT
// See      `big 5000000`, then Ctrl-C at the server: the answer comes to its end. Somebody who says
//          nothing hears the end at once, and somebody who does not read is left after a second.
// Was      A stop() left everybody in the middle of a word.
// Broken   select(): 1,024 descriptors, and the loop asks for all of them to find one.
// New      guest.hpp, hotline_protocol.hpp, house.hpp, idle_watch.hpp, signal_watcher.hpp,
//          talk.hpp
// Changed  listening_port.hpp, protocol.hpp, reactor.hpp, socket_transport.hpp, watcher.hpp

#include "event_loop.hpp"
#include "factory.hpp"
#include "hotline_protocol.hpp"
#include "house.hpp"
#include "log.hpp"
#include "number.hpp"
#include "signal_watcher.hpp"
#include "standard_streams.hpp"
#include "talk.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

using namespace std::chrono_literals;

class HotlineFactory final : public Factory {
public:
    HotlineFactory(House& house, Talk& talk) : house_(house), talk_(talk) {}
    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return std::make_unique<HotlineProtocol>(house_, talk_);
    }

private:
    House& house_;
    Talk& talk_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    fill_standard_streams();
    EventLoop loop;
    House house(loop, 0, 0s);
    Talk talk(house);
    HotlineFactory factory(house, talk);
    const auto stop = [&](int /*number*/) {
        house.close();
        loop.wind_up(1s);
    };
    loop.watch(std::make_unique<SignalWatcher>(std::initializer_list<int>{SIGTERM, SIGINT}, stop),
               {.reading = true});
    const in_port_t port = port_from(argc, argv);
    house.open(loop.listen(factory, "127.0.0.1", port));
    loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
