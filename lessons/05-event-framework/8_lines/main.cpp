// 05 event framework, step 8: whole lines, for everybody.
//
// Idea     Framing is the same for every protocol that talks in lines. So it is a class between the
//          Protocol and yours: LineReceiver. What is left of a protocol is what it means.
// Run it   ./lab run 05/8    and    ./lab client 01 -- --port PORT
// See      Whatever you say is shouted back, and no line of the program looks for a newline.
// Was      In step 7 only the hotline could read lines, and it kept the secret to itself.
// Broken   Say `slam` and another line in one piece. The connection ends in the middle of a loop
//          that is a member of what has ended.
// New      line_receiver.hpp

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
