// Exercise 06/doorman, solved in another way: each host has a bucket of tokens.
#include "log.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"
#include "threading_mix_in.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <utility>

// Lets nobody in who has been let in `limit` times in a row; then one more each time / limit.
class Doorman : public ThreadingMixIn<TCPServer> {
public:
    Doorman(const Address& address, RequestHandlerClass handler_class, int limit, Seconds time)
        : ThreadingMixIn(address, std::move(handler_class)), limit_(limit), time_(time) {}

protected:
    // Who comes in pays a token. In the thread that serves, always: so no lock is needed.
    bool verify_request(const Incoming& /*request*/, const Address& client_address) override {
        const Clock::time_point now = Clock::now();
        std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at >= time_; });
        const std::string text = client_address.text();
        Bucket& bucket =
            buckets_.try_emplace(text.substr(0, text.find(':')), limit_, now).first->second;
        bucket.tokens = std::min(limit_, bucket.tokens + (now - bucket.at) / time_ * limit_);
        bucket.at = now;
        if (bucket.tokens < 1) return false;
        bucket.tokens -= 1;
        return true;
    }

private:
    // It fills by itself. After `time` it is full, and then it may as well be a new one.
    struct Bucket {
        Bucket(double first, Clock::time_point now) : tokens(first), at(now) {}

        double tokens;
        Clock::time_point at; // so many were in it then
    };

    const double limit_;
    const Seconds time_;
    std::map<std::string, Bucket> buckets_; // by host
};

class EchoHandler final : public StreamRequestHandler {
public:
    using StreamRequestHandler::StreamRequestHandler;

protected:
    void handle() override {
        wfile.write("come in\n");
        for (std::string line; !(line = rfile.readline(1024)).empty();)
            wfile.write(line);
    }
};

std::atomic<BaseServer*> the_server = nullptr;
extern "C" void stop(int /*number*/) {
    BaseServer* server = the_server;
    server->stop_soon();
    server->hang_up();
}

// Arguments: so many calls, in so many seconds.
int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const int limit = argc > 1 ? std::stoi(argv[1]) : 3;
    const Seconds time(argc > 2 ? std::stod(argv[2]) : 60);
    Open<Doorman> server(Address("127.0.0.1", 0), make_handler<EchoHandler>, limit, time);
    the_server = &server;
    std::signal(SIGTERM, stop);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
