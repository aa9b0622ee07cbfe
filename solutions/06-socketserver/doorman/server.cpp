// Exercise 06/doorman, solved: when each of them was let in.
#include "log.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"
#include "threading_mix_in.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <utility>

// Lets nobody in who has been let in `limit` times within the last `time`.
class Doorman : public ThreadingMixIn<TCPServer> {
public:
    Doorman(const Address& address, RequestHandlerClass handler_class, int limit, Seconds time)
        : ThreadingMixIn(address, std::move(handler_class)), limit_(limit), time_(time) {}

protected:
    // In the thread that serves, always: so no lock is needed.
    bool verify_request(const Incoming& /*request*/, const Address& client_address) override {
        const Clock::time_point now = Clock::now();
        forget_before(now);
        std::deque<Clock::time_point>& calls = calls_[host_of(client_address)];
        if (std::ssize(calls) >= limit_) return false;
        calls.push_back(now);
        return true;
    }

private:
    // Each call has a port of its own, and that says nothing about who it is.
    static std::string host_of(const Address& address) {
        const std::string text = address.text();
        return text.substr(0, text.find(':'));
    }

    // Also those who never call again. That takes longer the more of them there are, and there
    // can be no more than have called in the last `time`.
    void forget_before(Clock::time_point now) {
        for (auto& [host, calls] : calls_)
            while (!calls.empty() && now - calls.front() >= time_)
                calls.pop_front();
        std::erase_if(calls_, [](const auto& entry) { return entry.second.empty(); });
    }

    const int limit_;
    const Seconds time_;
    std::map<std::string, std::deque<Clock::time_point>> calls_; // by host, the oldest first
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
