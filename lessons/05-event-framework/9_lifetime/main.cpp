// 05 event framework, step 9: who may destroy whom, and when.
//
// Idea     A protocol may end its connection in the middle of a call that the connection makes. So
//          nobody is destroyed there: the reactor closes the descriptor and forgets the number, and
//          buries the dead when the round is over. And connection_lost() comes then, once, and never
//          inside another call.
// Run it   ./lab run 05/9    and    printf 'slam\nmore\n' | nc 127.0.0.1 PORT
// See      The connection ends. Step 8 goes on with a loop whose object is gone; a build with
//          AddressSanitizer says so in its first line: heap-use-after-free.
// Was      "delete this at the end is fine": but which end? Somebody above is not at theirs.
// Broken   Who asks for a lot and does not read fills our memory.
// New      graveyard.hpp
// Changed  line_receiver.hpp, memory_transport.hpp, reactor.hpp, socket_transport.hpp,
//          transport.hpp, watcher.hpp

#include "event_loop.hpp"
#include "factory.hpp"
#include "line_receiver.hpp"
#include "log.hpp"
#include "number.hpp"
#include "protocol.hpp"
#include "request.hpp"
#include "standard_streams.hpp"

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

// Says every line again, in upper case. Four lines it understands.
class Shouter final : public LineReceiver {
public:
    void connection_made(Transport& transport) override { transport.write("Say it, I shout it\n"); }

private:
    void line_received(std::string_view line) override {
        const auto [verb, text] = split(line);
        if (line == "exit") {
            transport().lose_connection();
        } else if (line == "slam") {
            transport().abort_connection();
        } else if (verb == "raw") { // So many bytes come back as they are.
            left_ = number(text.value_or(""), 1'000'000).value_or(0);
            if (left_ > 0) set_raw_mode();
        } else if (verb == "repeat") { // So many times the same.
            const auto [times, words] = split(text.value_or(""));
            for (auto left = number(times, 1'000'000).value_or(0); left > 0; --left)
                shout(words.value_or(""));
        } else {
            shout(line);
        }
    }

    void shout(std::string_view words) { transport().write(upper_case(words) + '\n'); }

    void raw_data_received(std::string_view bytes) override {
        const auto mine = bytes.substr(0, left_);
        transport().write(mine);
        left_ -= mine.size();
        if (left_ == 0) set_line_mode(bytes.substr(mine.size()));
    }

    void line_too_long() override {
        transport().write("Line too long\n");
        transport().lose_connection();
    }

    std::uint64_t left_ = 0; // raw bytes to come
};

class ShouterFactory final : public Factory {
public:
    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return std::make_unique<Shouter>();
    }
};

int main(int argc, char** argv) try {
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    ShouterFactory factory;
    EventLoop loop;
    loop.listen(factory, "127.0.0.1", port);
    loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
