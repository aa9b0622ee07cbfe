// 06 socketserver, step 11: the server.
//
// Idea     Four kinds of server, three ways to process a request, one handler: twelve servers, and
//          none of them has been written. Kind and way are two words that a program puts together.
// Run it   ./lab run 06    and    ./lab run 06 -- --kind udp --mode forking
// See      The greeting names the class that serves you. All of them count with one counter.
// Was      Step 10 had all the parts.
// Broken   What a caller says reaches nobody: a handler knows its own request, and no other.
// New      family.hpp, hotline_handler.hpp, shared_counter.hpp
// Changed  datagram_request_handler.hpp, udp_server.hpp

#include "family.hpp"
#include "hotline_handler.hpp"
#include "log.hpp"
#include "open.hpp"
#include "options.hpp"
#include "say_where.hpp"
#include "shared_counter.hpp"
#include "standard_streams.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

// So many callers at once, where --max-clients does not say.
constexpr int usual_threads = 500;
constexpr int usual_children = 200;

std::atomic<BaseServer*> the_server = nullptr;
std::atomic<bool> stop_asked = false;
const pid_t the_process = ::getpid();

// A child has a copy of this handler, but the bells are those of the parent: it leaves them alone.
// It ends when the parent hangs up.
extern "C" void stop(int /*number*/) {
    if (::getpid() != the_process) return;
    stop_asked = true;
    if (BaseServer* server = the_server) {
        server->stop_soon();
        server->hang_up();
    }
}

// One of the twelve, with what a server needs whose callers are many and strange.
template <typename Server>
class Tuned : public Server {
public:
    Tuned(const Address& address, RequestHandlerClass handler_class, int max_clients)
        : Server(address, std::move(handler_class)) {
        this->request_queue_size = SOMAXCONN;
        if constexpr (requires { this->max_packet_size; })
            this->max_packet_size = 65'535;
        else
            this->allow_reuse_address =
                true; // For UDP it would let a second server in (socket(7)).
        if constexpr (requires { this->max_threads; })
            this->max_threads = max_clients > 0 ? max_clients : usual_threads;
        if constexpr (requires { this->max_children; })
            this->max_children = max_clients > 0 ? max_clients : usual_children;
    }

protected:
    // Whatever ends the parent, the kernel ends its children. But it may have ended already.
    void forked() override {
        Server::forked();
        check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
        if (::getppid() != the_process) ::_exit(EXIT_FAILURE);
    }
};

// While it lives, signals find the server.
class Reachable {
public:
    explicit Reachable(BaseServer& server) : server_(server) { the_server = &server; }
    Reachable(const Reachable&) = delete;
    Reachable& operator=(const Reachable&) = delete;
    ~Reachable() {
        the_server = nullptr;
        server_.hang_up(); // Also where an exception has ended it: server_close() waits for all.
    }

private:
    BaseServer& server_;
};

[[noreturn]] void explain(const Address& address, const std::system_error& error) {
    std::string why = error.what();
    if (error.code() == std::errc::address_in_use)
        why += address.family() == AF_UNIX
                   ? ". Somebody lives there, or it is no socket: choose another --path"
                   : ". Stop the other program, or choose another --port";
    if (error.code() == std::errc::permission_denied)
        why += address.family() == AF_UNIX
                   ? ". Choose a --path in a folder of your own"
                   : ". Ports below 1024 are for root: choose another --port";
    if (error.code() == std::errc::operation_would_block)
        why += ". Stop that program, or choose a --path in a folder of your own";
    throw std::runtime_error("cannot listen on " + address.text() + ": " + why);
}

template <typename Server>
void run(const Address& address, const RequestHandlerClass& handler_class, const Options& options) {
    std::unique_ptr<Open<Tuned<Server>>> server;
    try {
        server = std::make_unique<Open<Tuned<Server>>>(address, handler_class, options.max_clients);
    } catch (const std::system_error& error) {
        explain(address, error);
    }
    const Reachable reachable(*server);
    say_where(server->server_address.text(), address.family() == AF_UNIX || address.port() != 0);
    if (!stop_asked) server->serve_forever();
}

template <typename Server>
void run_in(const std::string& mode, const Address& address,
            const RequestHandlerClass& handler_class, const Options& options) {
    if (mode == "threading")
        run<ThreadingMixIn<Server>>(address, handler_class, options);
    else if (mode == "forking")
        run<ForkingMixIn<Server>>(address, handler_class, options);
    else
        run<Server>(address, handler_class, options);
}

// A handler that knows the desk.
template <typename Base>
RequestHandlerClass hotline_at(const Desk& desk) {
    return [&desk](Incoming& request, const Address& client_address, BaseServer& server) {
        return std::make_unique<HotlineHandler<Base>>(request, client_address, server, desk);
    };
}

OwnOption kind{
    "kind",
    "  --kind NAME              what a request comes by: tcp, the default, udp, unix or\n"
    "                           unixgram\n",
    {"tcp", "udp", "unix", "unixgram"},
    "tcp"};
OwnOption mode{
    "mode",
    "  --mode NAME              who processes it: plain (all by the same), threading, the\n"
    "                           default, or forking\n",
    {"plain", "threading", "forking"},
    "threading"};
OwnOption path{"path",
               "  --path PATH              for unix and unixgram, instead of --host and --port\n"
               "                           (default: hotline.socket)\n",
               {},
               "hotline.socket"};

// The name of the class, as Python has it.
std::string model() {
    const std::string way = mode.value == "plain"       ? ""
                            : mode.value == "threading" ? "Threading"
                                                        : "Forking";
    if (kind.value == "tcp") return way + "TCPServer";
    if (kind.value == "udp") return way + "UDPServer";
    return way + (kind.value == "unix" ? "UnixStreamServer" : "UnixDatagramServer");
}

void serve(const Options& options) {
    SharedCounter counter;
    const Desk desk{options.service, model(), options.idle_timeout, counter};
    const auto stream = hotline_at<StreamRequestHandler>(desk);
    const auto datagram = hotline_at<DatagramRequestHandler>(desk);
    if (kind.value == "tcp")
        run_in<TCPServer>(mode.value, {options.host, options.port}, stream, options);
    else if (kind.value == "udp")
        run_in<UDPServer>(mode.value, {options.host, options.port}, datagram, options);
    else if (kind.value == "unix")
        run_in<UnixStreamServer>(mode.value, Address::at_path(path.value), stream, options);
    else
        run_in<UnixDatagramServer>(mode.value, Address::at_path(path.value), datagram, options);
}

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
    fill_standard_streams();
    serve(options_from(argc, argv, {&kind, &mode, &path}));
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
