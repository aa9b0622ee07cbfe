// 05 event framework, step 10: who writes must be told to stop.
//
// Idea     A transport that keeps all it cannot send needs somebody who stops writing. Above a high
//          water mark it says pause_writing(), below a low one resume_writing(). In the other
//          direction the protocol says it: pause_reading(), and the kernel makes them wait.
// Run it   ./lab run 05/10    and    (echo "repeat 1000000 hello"; sleep 60) | nc 127.0.0.1 PORT | sleep 60
// See      The server's memory stays as it is. In step 9 it holds all the lines that nobody reads.
// Was      "Never waits" meant: keeps everything.
// Broken   An answer must be there when data_received() returns. What if it takes a while to get it?
// Changed  line_receiver.hpp, memory_transport.hpp, outbox.hpp, protocol.hpp,
//          socket_transport.hpp, transport.hpp

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
            times_ = number(times, 1'000'000).value_or(0);
            words_ = words.value_or("");
            repeat();
        } else {
            shout(line);
        }
    }

    void shout(std::string_view words) { transport().write(upper_case(words) + '\n'); }

    // As often as the transport likes, and no other line meanwhile.
    void repeat() {
        for (; times_ > 0 && !flooded_; --times_)
            shout(words_);
        if (times_ > 0) pause_lines();
    }

    void pause_writing() override { flooded_ = true; }
    void resume_writing() override {
        flooded_ = false;
        repeat();
        if (times_ == 0) resume_lines();
    }

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

    std::uint64_t left_ = 0;  // raw bytes to come
    std::uint64_t times_ = 0; // to repeat the words
    std::string words_;
    bool flooded_ = false;
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
