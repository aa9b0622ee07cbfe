// Says which functions a request comes by, and in which thread: `trace SCENE`. trace.py does the
// same with Python's own classes, and a test compares the two.
#include "datagram_request_handler.hpp"
#include "family.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"

#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// The functions that were called in the thread that serves, and in that of a request.
class Trace {
public:
    void passed(const std::string& function) {
        const std::lock_guard lock(mutex_);
        auto& list = std::this_thread::get_id() == server_ ? serving_ : handling_;
        if (list.empty() || list.back() != function) list.push_back(function);
    }
    void print() const {
        std::cout << "in the thread that serves:\n";
        for (const std::string& function : serving_)
            std::cout << "    " << function << '\n';
        if (handling_.empty()) return;
        std::cout << "in the thread of the request:\n";
        for (const std::string& function : handling_)
            std::cout << "    " << function << '\n';
    }

private:
    const std::thread::id server_ = std::this_thread::get_id();
    std::mutex mutex_;
    std::vector<std::string> serving_;
    std::vector<std::string> handling_;
};
Trace trace;

template <typename Base>
class TracedHandler final : public Base {
public:
    using Base::Base;

protected:
    void setup() override {
        trace.passed("  setup");
        Base::setup();
    }
    void handle() override {
        trace.passed("  handle");
        const std::string line = this->rfile.readline();
        if (line == "throw\n") throw std::runtime_error("the handler was asked to throw");
        this->wfile.write(line);
    }
    void finish() override {
        trace.passed("  finish");
        Base::finish();
    }
};

template <typename Server>
class Traced : public Server {
public:
    using Server::Server;
    std::string scene = {};

    void server_bind() override {
        trace.passed("server_bind");
        Server::server_bind();
    }
    void server_activate() override {
        trace.passed("server_activate");
        Server::server_activate();
    }
    void server_close() override {
        trace.passed("server_close");
        Server::server_close();
    }

protected:
    std::pair<Incoming, Address> get_request() override {
        trace.passed("get_request");
        return Server::get_request();
    }
    bool verify_request(const Incoming& request, const Address& client_address) override {
        trace.passed("verify_request");
        return scene != "refused" && Server::verify_request(request, client_address);
    }
    void process_request(Incoming& request, const Address& client_address) override {
        trace.passed("process_request");
        Server::process_request(request, client_address);
    }
    void finish_request(Incoming& request, const Address& client_address) override {
        trace.passed("finish_request");
        Server::finish_request(request, client_address);
    }
    void shutdown_request(Incoming& request) override {
        trace.passed("shutdown_request");
        Server::shutdown_request(request);
    }
    void close_request(Incoming& request) override {
        trace.passed("close_request");
        Server::close_request(request);
    }
    void handle_error(const Incoming& /*request*/, const Address& /*client_address*/,
                      const std::exception& /*error*/) override {
        trace.passed("handle_error");
    }
    void handle_timeout() override {
        trace.passed("handle_timeout");
        Server::handle_timeout();
    }
    void service_actions() override {
        trace.passed("service_actions");
        Server::service_actions();
    }
};

// One of the mix-in's own.
class TracedThreading : public Traced<ThreadingTCPServer> {
public:
    using Traced::Traced;

protected:
    void process_request_thread(Incoming& request,
                                const Address& client_address) noexcept override {
        trace.passed("process_request_thread");
        Traced::process_request_thread(request, client_address);
    }
};

// A client that has said a line.
Fd caller_of(const Address& server, int type, std::string_view line) {
    Fd client(check(::socket(AF_INET, type, 0), "socket"));
    check(::connect(client.number(), server.get(), server.size()), "connect");
    check(::send(client.number(), line.data(), line.size(), 0), "send");
    return client;
}

template <typename Server, typename Handler>
void play(const std::string& scene, int type) {
    {
        Open<Server> server(Address("127.0.0.1", 0), make_handler<Handler>);
        server.scene = scene;
        if (scene == "timeout") {
            server.timeout = Seconds(0.05);
            server.handle_request();
        } else {
            const std::string line = scene == "thrown" ? "throw\n" : "hello\n";
            const Fd client = caller_of(server.server_address, type, line);
            std::thread waiting([&] {
                std::string answer(100, '\0');
                ::recv(client.number(), answer.data(), answer.size(), 0);
                server.shutdown();
            });
            server.serve_forever(Seconds(0.05));
            waiting.join();
        }
    }
    trace.print();
}

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    const std::string scene = argc == 2 ? argv[1] : "";
    if (scene == "threading")
        play<TracedThreading, TracedHandler<StreamRequestHandler>>(scene, SOCK_STREAM);
    else if (scene == "udp")
        play<Traced<UDPServer>, TracedHandler<DatagramRequestHandler>>(scene, SOCK_DGRAM);
    else if (scene == "plain" || scene == "refused" || scene == "thrown" || scene == "timeout")
        play<Traced<TCPServer>, TracedHandler<StreamRequestHandler>>(scene, SOCK_STREAM);
    else
        std::cerr << "usage: trace plain|threading|udp|refused|thrown|timeout\n";
    return EXIT_SUCCESS;
}
