// Exercise 06/pool: two threads for all. README.md says what is missing.
#include "datagram_request_handler.hpp"
#include "log.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"
#include "tcp_server.hpp"
#include "udp_server.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

// Mixed into a server it has two threads, which do all the work. They begin when the server is open
// (in the constructor the object is not all there yet), and end before it is closed.
template <typename Server>
class PoolMixIn : public Server {
public:
    using Server::Server;

    void server_activate() override {
        Server::server_activate();
        for (std::thread& thread : threads_)
            thread = std::thread([this] { work(); });
    }

    void server_close() override {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_)
            if (thread.joinable()) thread.join();
        Server::server_close();
    }

protected:
    // In the thread that serves: whatever takes long here keeps everybody waiting.
    void process_request(Incoming& request, const Address& client_address) override {
        // TODO(you): whose process_request() is that, and in which thread does it work?
        Server::process_request(request, client_address);
    }

private:
    // In each of the two threads.
    void work() {
        // TODO(you)
    }

    // A request, and whose it is: both are ours alone.
    struct Job {
        Incoming request;
        Address client_address;
    };

    std::mutex mutex_; // guards the two that follow
    std::deque<Job> jobs_;
    bool is_over_ = false;
    std::condition_variable changed_; // one of the two has
    std::array<std::thread, 2> threads_;
};

// Each line comes back.
template <typename Base>
class EchoHandler final : public Base {
public:
    using Base::Base;

protected:
    void handle() override {
        for (std::string line; !(line = this->rfile.readline(1024)).empty();) {
            if (line == "throw\n") throw std::runtime_error("the handler was asked to throw");
            this->wfile.write(line);
        }
    }
};

std::atomic<BaseServer*> the_server = nullptr;
extern "C" void stop(int /*number*/) {
    BaseServer* server = the_server;
    server->stop_soon();
    server->hang_up();
}

template <typename Server, typename Base>
void run() {
    Open<PoolMixIn<Server>> server(Address("127.0.0.1", 0), make_handler<EchoHandler<Base>>);
    the_server = &server;
    std::signal(SIGTERM, stop);
    std::cout << "listening on " << server.server_address.text() << std::endl;
    server.serve_forever();
}

// With any argument it serves datagrams.
int main(int argc, char** /*argv*/) try {
    std::signal(SIGPIPE, SIG_IGN);
    if (argc == 1)
        run<TCPServer, StreamRequestHandler>();
    else
        run<UDPServer, DatagramRequestHandler>();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
