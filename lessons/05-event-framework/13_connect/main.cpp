// 05 event framework, step 13: to call, without waiting for an answer.
//
// Idea     connect() waits for somebody far away, so a loop must not make that call as lesson 01
//          does. A socket that does not block says EINPROGRESS, and becomes writable when it is
//          known how it went. What is a Failure here may be a success later: try again, with pauses
//          that grow.
// Run it   ./lab run 05/13 -- 10086 10087    and, soon,    ./lab run 01 -- --port 10086
// See      It calls all ports at once. Who answers is heard; who does not is called six times. An
//          address where nobody says even no, such as 192.0.2.1:80, costs half a second each time.
// Was      A server that only answers. And "connect() throws if nobody is there": not at the call.
// Broken   It hears a first line, and hangs up. To ask a real server takes a protocol.
// New      adopt.hpp, connector.hpp, retry.hpp

#include "adopt.hpp"
#include "connector.hpp"
#include "deferred.hpp"
#include "event_loop.hpp"
#include "failure.hpp"
#include "line_receiver.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "number.hpp"
#include "protocol.hpp"
#include "retry.hpp"
#include "standard_streams.hpp"
#include "timeout.hpp"

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;

// Hears the first line, and hangs up.
class FirstLine final : public LineReceiver {
public:
    explicit FirstLine(Deferred<std::string> heard) : heard_(std::move(heard)) {}

    void connection_lost(const std::exception_ptr& reason) override {
        if (heard_.fired()) return;
        heard_.errback(reason ? Failure(reason)
                              : Failure(std::runtime_error("they hung up without a line")));
    }

private:
    void line_received(std::string_view line) override {
        transport().lose_connection();
        heard_.callback(std::string(line));
    }

    const Deferred<std::string> heard_;
};

// What somebody says when you call.
Deferred<std::string> first_line_of(EventLoop& loop, const sockaddr_in& address) {
    const auto call = [&loop, address] {
        return add_timeout(connect_to(loop, address), loop, 500ms);
    };
    const Deferred<std::string> heard;
    retry<Fd>(loop, call, 6, 100ms)
        .add_callback([&loop, address, heard](Fd socket) {
            adopt(loop, std::move(socket), address, std::make_unique<FirstLine>(heard));
        })
        .add_errback([heard](const Failure& failure) { heard.errback(failure); });
    return add_timeout(heard, loop, 5s);
}

constexpr const char* arguments = "[HOST:]PORT ...";

sockaddr_in address_from(const char* program, const std::string& word) {
    const auto colon = word.find(':');
    const auto port = argument_from<in_port_t>(
        program, arguments, "a port", colon == std::string::npos ? word : word.substr(colon + 1), 1,
        65535);
    return address_of(colon == std::string::npos ? "127.0.0.1" : word.substr(0, colon), port);
}

int main(int argc, char** argv) try {
    fill_standard_streams();
    if (argc < 2) refuse_arguments(argv[0], arguments, "takes the servers that it is to call");
    EventLoop loop;
    int left = argc - 1;
    int failed = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        first_line_of(loop, address_from(argv[0], word))
            .add_callback([word](const std::string& line) {
                std::cout << word << " says: " << line << std::endl;
            })
            .add_errback([word, &failed](const Failure& failure) {
                std::cout << word << ": " << failure.what() << std::endl;
                ++failed;
            })
            .add_both([&](const auto&) {
                if (--left == 0) loop.stop();
            });
    }
    loop.run();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
