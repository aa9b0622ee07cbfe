// What Python's socketserver does, and ours: parity.md says which case stands for which behaviour.
#include "bell.hpp"
#include "datagram_request_handler.hpp"
#include "family.hpp"
#include "open.hpp"
#include "stream_request_handler.hpp"

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

// A sanitizer takes its time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int slowness = 10;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int slowness = 10;
#else
constexpr int slowness = 1;
#endif
#else
constexpr int slowness = 1;
#endif

const Address anywhere("127.0.0.1", 0);

double seconds_of(const auto& work) {
    const auto begin = Clock::now();
    work();
    return Seconds(Clock::now() - begin).count();
}

// The least of five: a machine may be slow for a moment, and a wrong server is slow always.
double least_seconds_of(const auto& work) {
    double least = 3600;
    for (int i = 0; i < 5; ++i)
        least = std::min(least, seconds_of(work));
    return least;
}

// Does it hold within five seconds?
bool soon(const auto& holds) {
    const auto end = Clock::now() + 5s * slowness;
    while (!holds() && Clock::now() < end)
        std::this_thread::yield();
    return holds();
}

// Work that must return: only a hung program needs the minute.
void in_time(const auto& work) {
    auto over = std::async(std::launch::async, work);
    if (over.wait_for(4s * slowness) == std::future_status::ready) return over.get();
    std::abort(); // The thread cannot be ended. doctest says which case it was.
}

// A client on a connection; no call of it takes longer than five seconds.
class Client {
public:
    explicit Client(const Address& server)
        : socket_(check(::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
        check(::connect(socket_.number(), server.get(), server.size()), "connect");
        patience_.timeout = Seconds(5 * slowness);
    }
    void say(std::string_view text) { SocketWriter(socket_, patience_).write(text); }
    std::string line() { return reader_.readline(); }
    std::string rest() { return reader_.read(); }
    std::string some(std::size_t count) { return reader_.read(count); }
    void half_close() const { ::shutdown(socket_.number(), SHUT_WR); }

private:
    Fd socket_;
    Bell nobody_hangs_up_;
    Patience patience_{nobody_hangs_up_};
    SocketReader reader_{socket_, patience_};
};

// A handler that does what the test says.
using Work = std::function<void(StreamRequestHandler&)>;
RequestHandlerClass working(Work work) {
    class Handler final : public StreamRequestHandler {
    public:
        Handler(Incoming& incoming, const Address& address, BaseServer& its_server, Work work)
            : StreamRequestHandler(incoming, address, its_server), work_(std::move(work)) {}

    protected:
        void handle() override { work_(*this); }

    private:
        const Work work_;
    };
    return [work = std::move(work)](Incoming& incoming, const Address& address,
                                    BaseServer& its_server) {
        return std::make_unique<Handler>(incoming, address, its_server, work);
    };
}

void echo_line(StreamRequestHandler& handler) {
    handler.wfile.write(handler.rfile.readline());
}

// Serves in another thread while it lives.
class Serving {
public:
    explicit Serving(BaseServer& server, Seconds poll_interval = Seconds(3600))
        : server_(server),
          thread_([this, poll_interval] { server_.serve_forever(poll_interval); }) {}
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;
    ~Serving() {
        server_.shutdown();
        thread_.join();
    }

private:
    BaseServer& server_;
    std::thread thread_;
};

// Notes what is called, from whatever thread.
class Notes {
public:
    void add(const std::string& note) {
        const std::lock_guard lock(mutex_);
        text_ += note + ' ';
    }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

// A server that notes what a test may ask about.
template <typename Server>
class Noting : public Server {
public:
    using Server::Server;
    Notes notes;
    bool verdict = true;
    bool counts_turns = false;
    std::string refused = {}; // verify_request() throws this

    void server_close() override {
        notes.add("server_close");
        Server::server_close();
    }
    using Server::has_room;

protected:
    bool verify_request(const Incoming& /*request*/, const Address& /*client_address*/) override {
        if (!refused.empty()) throw std::runtime_error(refused);
        return verdict;
    }
    void handle_error(const Incoming& /*request*/, const Address& /*client_address*/,
                      const std::exception& error) override {
        notes.add("handle_error(" + std::string(error.what()) + ")");
    }
    void shutdown_request(Incoming& request) override {
        notes.add("shutdown_request");
        Server::shutdown_request(request);
    }
    void handle_timeout() override {
        notes.add("handle_timeout");
        Server::handle_timeout();
    }
    void service_actions() override {
        if (counts_turns) notes.add("service_actions");
        Server::service_actions();
    }
};

void do_nothing(int /*number*/) {}

} // namespace

TEST_CASE("defaults") {
    const Open<TCPServer> tcp(anywhere, working(echo_line));
    CHECK(!tcp.timeout);
    CHECK(tcp.request_queue_size == 5);
    CHECK(!tcp.allow_reuse_address);
    CHECK(!tcp.allow_reuse_port);
    CHECK(tcp.server_address.port() != 0);
    const Open<UDPServer> udp(anywhere, make_handler<DatagramRequestHandler>);
    CHECK(udp.max_packet_size == 8'192);
    const Open<ThreadingTCPServer> threading(anywhere, working(echo_line));
    CHECK(!threading.daemon_threads);
    CHECK(threading.block_on_close);
    const Open<ForkingTCPServer> forking(anywhere, working(echo_line));
    CHECK(forking.max_children == 40);
    CHECK(forking.timeout == Seconds(300));
    CHECK(forking.block_on_close);
}

TEST_CASE("handle_request() waits as long as timeout says, and then calls handle_timeout()") {
    Open<Noting<TCPServer>> server(anywhere, working(echo_line));
    server.timeout = Seconds(0.2);
    const double waited = least_seconds_of([&] { server.handle_request(); });
    CHECK(waited >= 0.2);
    CHECK(waited <= 0.4);
    CHECK(server.notes.text().starts_with("handle_timeout handle_timeout "));
}

TEST_CASE("a timeout of infinity, or of more than a clock can count, waits; NaN is refused") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const double longest : {std::numeric_limits<double>::infinity(), 1e10, 1e300}) {
        CAPTURE(longest);
        std::string heard;
        const auto reader = working([&](StreamRequestHandler& handler) {
            handler.patience.timeout = Seconds(longest);
            handler.wfile.write("say it\n");
            heard = handler.rfile.readline();
        });
        Open<Noting<TCPServer>> server(anywhere, reader);
        server.timeout = Seconds(longest);
        std::thread serving([&] { server.handle_request(); });
        Client client(server.server_address);
        CHECK(client.line() == "say it\n"); // So nothing is there to read, and it has to wait.
        client.say("hello\n");
        serving.join();
        CHECK(heard == "hello\n");
        CHECK(server.notes.text() == "shutdown_request ");

        Open<TCPServer> other(anywhere, working(echo_line));
        const Serving its_thread(other, Seconds(longest));
        Client next(other.server_address);
        next.say("hello\n");
        CHECK(next.rest() == "hello\n");
    }
    Open<Noting<TCPServer>> server(anywhere, working([&](StreamRequestHandler& handler) {
                                       handler.patience.timeout = Seconds(nan);
                                       handler.rfile.readline();
                                   }));
    in_time([&] { CHECK_THROWS_AS(server.serve_forever(Seconds(nan)), std::invalid_argument); });
    server.timeout = Seconds(nan);
    in_time([&] { CHECK_THROWS_AS(server.handle_request(), std::invalid_argument); });
    server.timeout = std::nullopt;
    Client client(server.server_address);
    in_time([&] { server.handle_request(); });
    CHECK(client.rest().empty());
    CHECK(server.notes.text().starts_with("handle_error(a timeout is NaN"));
    server.timeout = -Seconds(std::numeric_limits<double>::infinity());
    in_time([&] { server.handle_request(); });
    CHECK(server.notes.text().ends_with("handle_timeout "));
}

TEST_CASE("handle_request() handles one request, and no second one") {
    Open<Noting<TCPServer>> server(anywhere, working(echo_line));
    Client first(server.server_address);
    Client second(server.server_address);
    first.say("one\n");
    second.say("two\n");
    server.handle_request();
    CHECK(first.rest() == "one\n");
    CHECK(server.notes.text() == "shutdown_request ");
    server.handle_request();
    CHECK(second.rest() == "two\n");
}

TEST_CASE("shutdown() returns within 50 ms, whatever the poll interval") {
    for (const double interval : {0.01, 0.5, 3600.0}) {
        Open<TCPServer> server(anywhere, working(echo_line));
        double least = 3600;
        for (int i = 0; i < 5; ++i) {
            std::optional<Serving> serving(std::in_place, server, Seconds(interval));
            Client client(server.server_address);
            client.say("hello\n");
            CHECK(client.rest() == "hello\n");                             // So it serves.
            least = std::min(least, seconds_of([&] { serving.reset(); })); // shutdown(), join()
        }
        CHECK(least < 0.05);
    }
}

TEST_CASE("twenty servers that have begun, or not yet, are shut down at once") {
    std::list<Open<TCPServer>> servers;
    std::list<std::thread> threads;
    for (int i = 0; i < 20; ++i) {
        auto& server = servers.emplace_back(anywhere, working(echo_line));
        threads.emplace_back([&server] { server.serve_forever(Seconds(3600)); });
        server.shutdown();
    }
    for (std::thread& thread : threads)
        thread.join();
}

TEST_CASE("shutdown() where nobody serves returns, and the next serve_forever() does") {
    Open<TCPServer> server(anywhere, working(echo_line));
    server.shutdown();
    server.serve_forever(Seconds(3600));
}

TEST_CASE("shutdown() returns also where serve_forever() begins again at once") {
    Open<TCPServer> server(anywhere, working(echo_line));
    std::atomic<bool> done = false;
    std::thread thread([&] {
        while (!done)
            server.serve_forever(Seconds(3600));
    });
    in_time([&] {
        for (int i = 0; i < 2'000; ++i)
            server.shutdown();
        done = true;
        server.shutdown();
    });
    thread.join();
}

TEST_CASE("a stop asked for while an exception ends serve_forever() is for the next one") {
    class Ending : public TCPServer {
    public:
        using TCPServer::TCPServer;

    protected:
        void service_actions() override {
            stop_soon(); // A signal handler may come at this moment.
            throw std::runtime_error("enough");
        }
    };
    Open<Ending> server(anywhere, working([](auto&) {}));
    const Client client(server.server_address);
    CHECK_THROWS_WITH(server.serve_forever(), "enough");
    in_time([&] { server.serve_forever(Seconds(3600)); });
}

TEST_CASE("serve_forever() twice at once: an error in the second thread, and the first serves on") {
    Open<TCPServer> server(anywhere, working(echo_line));
    const Serving serving(server);
    Client first(server.server_address);
    first.say("one\n");
    CHECK(first.rest() == "one\n"); // So it serves.
    in_time([&] { CHECK_THROWS_AS(server.serve_forever(), std::logic_error); });
    Client second(server.server_address);
    second.say("two\n");
    CHECK(second.rest() == "two\n");
}

TEST_CASE("shutdown() in a handler: an error in the thread that serves, and right in another") {
    const auto stopper = working([](auto& handler) { handler.server.shutdown(); });
    Open<Noting<TCPServer>> plain(anywhere, stopper);
    {
        const Serving serving(plain);
        Client caller(plain.server_address);
        CHECK(caller.rest().empty());
    }
    CHECK(plain.notes.text().find("call stop_soon()") != std::string::npos);

    Open<ThreadingTCPServer> threading(anywhere, stopper);
    const Client caller(threading.server_address);
    threading.serve_forever(Seconds(3600));
}

TEST_CASE("service_actions() is called after each request, and after each poll interval") {
    Open<Noting<TCPServer>> server(anywhere, working(echo_line));
    server.counts_turns = true;
    Client client(server.server_address);
    client.say("hello\n");
    {
        const Serving serving(server);
        CHECK(client.rest() == "hello\n");
        CHECK(soon([&] { return server.notes.text() == "shutdown_request service_actions "; }));
    }
    const Serving serving(server, Seconds(0.01));
    CHECK(soon([&] {
        return server.notes.text().ends_with("service_actions service_actions service_actions ");
    }));
}

TEST_CASE("an exception out of service_actions() ends serve_forever(), and shutdown() knows") {
    class Ending : public TCPServer {
    public:
        using TCPServer::TCPServer;

    protected:
        void service_actions() override { throw std::runtime_error("enough"); }
    };
    Open<Ending> server(anywhere, working([](auto&) {}));
    const Client client(server.server_address);
    CHECK_THROWS_WITH(server.serve_forever(), "enough");
    server.shutdown();
}

TEST_CASE("a request that verify_request() refuses is shut down, and no other") {
    Open<Noting<TCPServer>> server(anywhere, working(echo_line));
    server.verdict = false;
    Client refused(server.server_address);
    server.handle_request();
    CHECK(refused.rest().empty());
    CHECK(server.notes.text() == "shutdown_request ");
    server.verdict = true;
    Client client(server.server_address);
    client.say("hello\n");
    server.handle_request();
    CHECK(client.rest() == "hello\n");
}

TEST_CASE("an exception in verify_request() is one request's, and no end of the server") {
    Open<Noting<TCPServer>> server(anywhere, working(echo_line));
    server.refused = "no";
    Client refused(server.server_address);
    server.handle_request();
    CHECK(refused.rest().empty());
    CHECK(server.notes.text() == "handle_error(no) shutdown_request ");
}

TEST_CASE("what a handler throws goes to handle_error(), and the server lives: plain, threading") {
    const auto thrower = working([](auto& handler) {
        if (handler.rfile.readline() == "throw\n") throw std::runtime_error("oh");
        handler.wfile.write("fine\n");
    });
    const auto check_it = [](auto& server) {
        const Serving serving(server);
        Client first(server.server_address);
        first.say("throw\n");
        CHECK(first.rest().empty());
        Client second(server.server_address);
        second.say("hello\n");
        CHECK(second.rest() == "fine\n");
        CHECK(server.notes.text().starts_with("handle_error(oh) shutdown_request "));
    };
    Open<Noting<TCPServer>> plain(anywhere, thrower);
    check_it(plain);
    Open<Noting<ThreadingTCPServer>> threading(anywhere, thrower);
    check_it(threading);
}

TEST_CASE("what is no std::exception passes handle_error() by, but the request is shut down") {
    Open<Noting<TCPServer>> server(anywhere, working([](auto&) { throw 42; }));
    Client client(server.server_address);
    CHECK_THROWS_AS(server.handle_request(), int);
    CHECK(client.rest().empty());
    CHECK(server.notes.text() == "shutdown_request ");

    Open<Noting<ThreadingTCPServer>> threading(anywhere, working([](auto&) { throw 42; }));
    Client other(threading.server_address);
    threading.handle_request();
    CHECK(other.rest().empty());
    threading.server_close();
    CHECK(threading.notes.text() == "shutdown_request server_close ");
}

TEST_CASE("setup, handle, finish: finish() comes after a handle() that throws, not after setup()") {
    static std::string called;
    static bool setup_throws;
    class Handler final : public BaseRequestHandler {
    public:
        using BaseRequestHandler::BaseRequestHandler;

    protected:
        void setup() override {
            called += "setup ";
            if (setup_throws) throw std::runtime_error("setup");
        }
        void handle() override {
            called += "handle ";
            throw std::runtime_error("handle");
        }
        void finish() override { called += "finish "; }
    };
    for (const auto& [throws, expected] :
         {std::pair(false, "setup handle finish "), {true, "setup "}}) {
        called.clear();
        setup_throws = throws;
        Open<Noting<TCPServer>> server(anywhere, make_handler<Handler>);
        const Client client(server.server_address);
        server.handle_request();
        CHECK(called == expected);
    }
}

TEST_CASE("a handler knows its request, its client's address and its server") {
    Address seen;
    BaseServer* its_server = nullptr;
    Open<TCPServer> server(anywhere, working([&](auto& handler) {
                               seen = handler.client_address;
                               its_server = &handler.server;
                               CHECK(handler.request.socket.number() != -1);
                           }));
    const Client client(server.server_address);
    server.handle_request();
    CHECK(seen.text().starts_with("127.0.0.1:"));
    CHECK(its_server == &server);
}

TEST_CASE("rfile: lines and bytes, in whatever pieces they come, and the end") {
    std::vector<std::string> heard;
    Open<TCPServer> server(anywhere, working([&](StreamRequestHandler& handler) {
                               heard.push_back(handler.rfile.readline());
                               heard.push_back(handler.rfile.readline(3));
                               heard.push_back(handler.rfile.read(4));
                               heard.push_back(handler.rfile.read1(100));
                               handler.wfile.write("more\n");
                               heard.push_back(handler.rfile.readline());
                               heard.push_back(handler.rfile.readline());
                           }));
    Client client(server.server_address);
    client.say("one\ntwothreefour");
    std::thread serving([&] { server.handle_request(); });
    CHECK(client.line() == "more\n");
    client.say("unfinished");
    client.half_close();
    serving.join();
    CHECK(heard == std::vector<std::string>{"one\n", "two", "thre", "efour", "unfinished", ""});
}

TEST_CASE("rfile reads ahead as much as rbufsize says, and never beyond a limit in memory") {
    Open<TCPServer> server(anywhere, working([](StreamRequestHandler& handler) {
                               handler.rfile.buffer_size = 0; // rbufsize = 0: a byte at a time
                               handler.wfile.write(handler.rfile.readline());
                               std::string behind(100, '\0');
                               const auto count = ::recv(handler.request.socket.number(),
                                                         behind.data(), behind.size(), 0);
                               behind.resize(static_cast<std::size_t>(count));
                               handler.wfile.write(behind);
                           }));
    Client client(server.server_address);
    client.say("line\nbehind it");
    server.handle_request();
    CHECK(client.rest() == "line\nbehind it");
}

TEST_CASE("wfile: with wbufsize 0 all leaves at once, with more when it is full, or flushed") {
    for (const int size : {0, 10, -1}) {
        CAPTURE(size);
        class Handler final : public StreamRequestHandler {
        public:
            Handler(Incoming& incoming, const Address& address, BaseServer& its_server, int size)
                : StreamRequestHandler(incoming, address, its_server) {
                wbufsize = size;
            }

        protected:
            void handle() override {
                wfile.write("12345");
                wfile.write(rfile.readline());
                wfile.write(rfile.readline());
            }
        };
        Open<TCPServer> server(
            anywhere, [size](Incoming& incoming, const Address& address, BaseServer& its_server) {
                return std::make_unique<Handler>(incoming, address, its_server, size);
            });
        Client client(server.server_address);
        std::thread serving([&] { server.handle_request(); });
        if (size == 0) CHECK(client.some(5) == "12345");
        client.say("678910\n");
        if (size == 10) CHECK(client.some(12) == "12345678910\n");
        client.say("end\n");
        serving.join();
        CHECK(client.rest().ends_with("end\n")); // finish() flushes.
    }
}

TEST_CASE("wfile: a write of 16 MiB is whole, also when signals interrupt it") {
    struct sigaction action {};
    action.sa_handler = do_nothing; // Without SA_RESTART: each call says EINTR.
    check(::sigaction(SIGUSR1, &action, nullptr), "sigaction");
    constexpr std::size_t size = 16 << 20;
    Open<TCPServer> server(anywhere, working([](StreamRequestHandler& handler) {
                               handler.wfile.write(std::string(size, 'x'));
                           }));
    Client client(server.server_address);
    std::thread serving([&] { server.handle_request(); });
    std::size_t heard = 0;
    while (heard < size) {
        pthread_kill(serving.native_handle(), SIGUSR1);
        heard += client.some(1 << 20).size();
    }
    CHECK(client.rest().empty());
    serving.join();
}

TEST_CASE("timeout of a handler: who is silent for so long is an error") {
    class Handler final : public StreamRequestHandler {
    public:
        using StreamRequestHandler::StreamRequestHandler;

    protected:
        void setup() override {
            timeout = Seconds(0.1);
            StreamRequestHandler::setup();
        }
        void handle() override { rfile.readline(); }
    };
    Open<Noting<TCPServer>> server(anywhere, make_handler<Handler>);
    Client client(server.server_address);
    CHECK(seconds_of([&] { server.handle_request(); }) >= 0.1);
    CHECK(server.notes.text() == "handle_error(recv: Connection timed out) shutdown_request ");
    CHECK(client.rest().empty());
}

TEST_CASE("ThreadingMixIn: server_close() waits for handlers, unless it is told not to") {
    for (const auto& flags : {std::pair(true, false), {false, false}, {true, true}}) {
        const bool block = flags.first; // clang 14 captures no structured binding.
        const bool daemon = flags.second;
        CAPTURE(block);
        CAPTURE(daemon);
        std::atomic<bool> is_over = false;
        {
            Open<ThreadingTCPServer> server(anywhere, working([&](StreamRequestHandler& handler) {
                                                handler.rfile.readline();
                                                is_over = true;
                                            }));
            server.block_on_close = block;
            server.daemon_threads = daemon;
            Client client(server.server_address);
            server.handle_request();
            std::optional<std::thread> late;
            if (block && !daemon) late.emplace([&] { client.say("end\n"); });
            server.server_close();
            CHECK(is_over == (block && !daemon));
            if (late) late->join();
            client.say("end\n");
        }
        CHECK(is_over); // The server's own end waits for all: they use it.
    }
}

TEST_CASE("ThreadingMixIn: a server that never had a request closes") {
    Open<ThreadingTCPServer> server(anywhere, working(echo_line));
    server.server_close();
}

TEST_CASE("ThreadingMixIn: threads that have ended are not kept") {
    class Counting : public ThreadingTCPServer {
    public:
        using ThreadingTCPServer::has_room;
        using ThreadingTCPServer::ThreadingTCPServer;
    };
    Open<Counting> server(anywhere, working(echo_line));
    server.max_threads = 1;
    for (int i = 0; i < 20; ++i) {
        Client client(server.server_address);
        client.say("hello\n");
        server.handle_request();
        CHECK(client.rest() == "hello\n");
        CHECK(soon([&] { return server.has_room(); }));
    }
}

TEST_CASE("ForkingMixIn: errors are handled in the child, and reach neither parent nor brothers") {
    Open<Noting<ForkingTCPServer>> server(anywhere, working([](StreamRequestHandler& handler) {
                                              if (handler.rfile.readline() == "throw\n")
                                                  throw std::runtime_error("oh");
                                              handler.wfile.write(std::to_string(::getpid()));
                                          }));
    const Serving serving(server);
    Client thrower(server.server_address);
    thrower.say("throw\n");
    CHECK(thrower.rest().empty());
    Client client(server.server_address);
    client.say("who\n");
    const std::string child = client.rest();
    CHECK(!child.empty());
    CHECK(child != std::to_string(::getpid()));
    CHECK(server.notes.text().find("handle_error") == std::string::npos);
}

TEST_CASE("ForkingMixIn: the status of somebody else's child is not taken") {
    const pid_t stranger = check(::fork(), "fork");
    if (stranger == 0) ::_exit(7);
    {
        Open<ForkingTCPServer> server(anywhere, working(echo_line));
        server.max_children = 1;
        for (int i = 0; i < 3; ++i) {
            Client client(server.server_address);
            client.say("hello\n");
            server.handle_request();
            CHECK(client.rest() == "hello\n");
        }
    }
    int status = 0;
    CHECK(::waitpid(stranger, &status, 0) == stranger);
    CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("ForkingMixIn: server_close() waits for the children") {
    Open<ForkingTCPServer> server(
        anywhere, working([](StreamRequestHandler& handler) { handler.rfile.readline(); }));
    Client client(server.server_address);
    server.handle_request();
    std::thread late([&] { client.say("end\n"); });
    server.server_close();
    late.join();
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1); // There is no child any more.
}

TEST_CASE("1,024 servers that cannot be bound leave no descriptor behind") {
    const Open<TCPServer> first(anywhere, working(echo_line));
    const int before = ::dup(0);
    for (int i = 0; i < 1'024; ++i)
        CHECK_THROWS_AS(Open<TCPServer>(first.server_address, working(echo_line)),
                        std::system_error);
    const int after = ::dup(0);
    CHECK(after == before + 1);
    ::close(before);
    ::close(after);
}

TEST_CASE("the end of an Open server is server_close()") {
    std::optional<Address> address;
    {
        const Open<TCPServer> server(anywhere, working(echo_line));
        address = server.server_address;
    }
    CHECK_THROWS_AS(Client{*address}, std::system_error);
}

TEST_CASE("a server without Open is neither bound nor listening until you say so") {
    TCPServer server(anywhere, working(echo_line));
    CHECK(server.server_address.port() == 0);
    server.server_bind();
    CHECK(server.server_address.port() != 0);
    CHECK_THROWS_AS(Client{server.server_address}, std::system_error);
    server.server_activate();
    const Client client(server.server_address);
}

TEST_CASE("a closed server has no request to wait for, and says so") {
    const auto check_it = [](auto& server) {
        server.server_close();
        CHECK(server.fileno() == -1);
        in_time([&] { CHECK_THROWS_AS(server.serve_forever(Seconds(3600)), std::logic_error); });
        in_time([&] { CHECK_THROWS_AS(server.handle_request(), std::logic_error); });
        server.timeout = Seconds(3600);
        in_time([&] { CHECK_THROWS_AS(server.handle_request(), std::logic_error); });
        in_time([&] { server.shutdown(); }); // Nobody serves.
        CHECK_THROWS_AS(server.server_bind(), std::system_error);
        server.server_close(); // It is closed already.
    };
    Open<TCPServer> tcp(anywhere, working(echo_line));
    check_it(tcp);
    Open<UDPServer> udp(anywhere, make_handler<DatagramRequestHandler>);
    check_it(udp);
    Open<ThreadingTCPServer> threading(anywhere, working(echo_line));
    check_it(threading);
    Open<ForkingTCPServer> forking(anywhere, working(echo_line));
    check_it(forking);
}

TEST_CASE("a server that a hook closes ends serve_forever() with an error") {
    class Closing : public TCPServer {
    public:
        using TCPServer::TCPServer;

    protected:
        void service_actions() override { server_close(); }
    };
    Open<Closing> server(anywhere, working([](auto&) {}));
    const Client client(server.server_address);
    in_time([&] { CHECK_THROWS_AS(server.serve_forever(Seconds(3600)), std::logic_error); });
}

TEST_CASE("fileno(): two servers in one poll()") {
    Open<TCPServer> one(anywhere, working([](auto& handler) { handler.wfile.write("one"); }));
    Open<TCPServer> two(anywhere, working([](auto& handler) { handler.wfile.write("two"); }));
    Client client(two.server_address);
    std::array<pollfd, 2> asked{{{.fd = one.fileno(), .events = POLLIN, .revents = 0},
                                 {.fd = two.fileno(), .events = POLLIN, .revents = 0}}};
    CHECK(is_any_ready(asked, Seconds(5)));
    CHECK(asked[0].revents == 0);
    two.handle_request();
    CHECK(client.rest() == "two");
}

TEST_CASE("allow_reuse_port and allow_reuse_address are set before bind()") {
    class Shared : public TCPServer {
    public:
        Shared(const Address& address, RequestHandlerClass handler_class)
            : TCPServer(address, std::move(handler_class)) {
            allow_reuse_port = true;
            allow_reuse_address = true;
        }
    };
    const Open<Shared> one(anywhere, working(echo_line));
    const Open<Shared> two(one.server_address, working(echo_line));
    int is_set = 0;
    socklen_t size = sizeof is_set;
    check(::getsockopt(two.fileno(), SOL_SOCKET, SO_REUSEADDR, &is_set, &size), "getsockopt");
    CHECK(is_set == 1);
}

TEST_CASE("UDPServer: an answer to each datagram, also to an empty one; finish() sends it") {
    class Handler final : public DatagramRequestHandler {
    public:
        using DatagramRequestHandler::DatagramRequestHandler;

    protected:
        void handle() override {
            for (const std::string& part : {rfile.readline(), rfile.readline(2), rfile.read()})
                wfile.write(part + '|'); // Braces go from left to right; + would not.
        }
    };
    Open<UDPServer> server(anywhere, make_handler<Handler>);
    const Fd client(check(::socket(AF_INET, SOCK_DGRAM, 0), "socket"));
    const Address& to = server.server_address;
    for (const auto& [said, heard] :
         {std::pair(std::string("one\ntwo three"), "one\n|tw|o three|"), {std::string(), "|||"}}) {
        check(::sendto(client.number(), said.data(), said.size(), 0, to.get(), to.size()),
              "sendto");
        server.handle_request();
        std::string answer(100, '\0');
        const auto count = ::recv(client.number(), answer.data(), answer.size(), 0);
        answer.resize(static_cast<std::size_t>(check(count, "recv")));
        CHECK(answer == heard);
    }
}

TEST_CASE("a datagram that names the server as its sender is dropped, and no other") {
    class Echo final : public DatagramRequestHandler {
    public:
        using DatagramRequestHandler::DatagramRequestHandler;

    protected:
        void handle() override { wfile.write(rfile.read()); }
    };
    const auto ask = [](auto& server, const Fd& socket, const Address& to) {
        check(::sendto(socket.number(), "again", 5, 0, to.get(), to.size()), "sendto");
        server.timeout = Seconds(5 * slowness);
        server.handle_request();
        std::string answer(100, '\0');
        const auto size = ::recv(socket.number(), answer.data(), answer.size(), MSG_DONTWAIT);
        return size == -1 ? "nothing" : answer.substr(0, static_cast<std::size_t>(size));
    };
    // To forge a sender takes privileges. What the server's own socket sends looks the same.
    for (const char* host : {"127.0.0.1", "0.0.0.0"}) {
        CAPTURE(host);
        Open<UDPServer> server(Address(host, 0), make_handler<Echo>);
        const Fd itself(check(::dup(server.fileno()), "dup"));
        const Address here("127.0.0.1", server.server_address.port());
        CHECK(ask(server, itself, here) == "nothing");
        const Fd client(check(::socket(AF_INET, SOCK_DGRAM, 0), "socket"));
        CHECK(ask(server, client, here) == "again");
    }
    // Another machine's server may have the same port.
    Open<UDPServer> server(anywhere, make_handler<Echo>);
    const Open<UDPServer> other(Address("127.0.0.2", server.server_address.port()),
                                make_handler<Echo>);
    const Fd its_socket(check(::dup(other.fileno()), "dup"));
    CHECK(ask(server, its_socket, server.server_address) == "again");

    const std::string path =
        std::filesystem::temp_directory_path() / ("test_parity." + std::to_string(::getpid()));
    Open<UnixDatagramServer> local(Address::at_path(path), make_handler<Echo>);
    const Fd itself(check(::dup(local.fileno()), "dup"));
    CHECK(ask(local, itself, local.server_address) == "nothing");
}

TEST_CASE("at the limit of descriptors serve_forever() rests, and then serves who has waited") {
    Open<TCPServer> server(anywhere, working(echo_line));
    Client client(server.server_address);
    client.say("hello\n");
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    const rlimit none{.rlim_cur = 3, .rlim_max = limit.rlim_max};
    check(::setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
    const Serving serving(server);
    const auto before = std::clock();
    std::this_thread::sleep_for(300ms); // for so long we watch it
    CHECK(std::clock() - before < CLOCKS_PER_SEC / 10 * slowness);
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    CHECK(client.rest() == "hello\n");
}
