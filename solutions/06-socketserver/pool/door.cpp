// Exercise 06/pool, solved in another way: who finds both threads busy waits at the door.
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
#include <utility>

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
    void process_request(Incoming& request, const Address& client_address) override {
        {
            const std::lock_guard lock(mutex_);
            jobs_.push_back({std::move(request), client_address});
            ++under_way_;
        }
        changed_.notify_one();
    }

    // Asked before each sleep. As long as it says no, nobody is let in.
    bool has_room() override {
        const std::lock_guard lock(mutex_);
        return under_way_ < std::ssize(threads_) && Server::has_room();
    }

private:
    // In each of the two threads.
    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return is_over_ || !jobs_.empty(); });
            if (is_over_) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock(); // Nobody needs it while the handler works, and that may take hours.
            serve(job);
            lock.lock();
            --under_way_;
            this->lookout_.ring(); // There is room: the server is to ask again.
        }
    }

    // A request, and whose it is: both are ours alone.
    struct Job {
        Incoming request;
        Address client_address;
    };

    void serve(Job& job) {
        try {
            this->finish_request(job.request, job.client_address);
        } catch (const std::exception& error) {
            this->handle_error(job.request, job.client_address, error);
        }
        this->shutdown_request(job.request);
    }

    std::mutex mutex_; // guards the three that follow
    std::deque<Job> jobs_;
    int under_way_ = 0; // jobs in the queue, and in the threads
    bool is_over_ = false;
    std::condition_variable changed_; // one of the three has
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
