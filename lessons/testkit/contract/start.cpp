// The contract, part S: the start.
#include "contract.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

using namespace std::chrono_literals;

namespace {

constexpr long close_on_exec = 02000000; // as fdinfo writes O_CLOEXEC, in octal
constexpr long non_blocking = 04000;     // ... and O_NONBLOCK

long flags_of(pid_t pid, int fd) {
    const std::string text =
        file_text("/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(fd));
    const std::string name = "flags:";
    const std::size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::strtol(text.c_str() + at + name.size(), nullptr, 8);
}

std::vector<int> descriptors(pid_t pid) {
    std::vector<int> numbers;
    const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        numbers.push_back(std::stoi(entry.path().filename()));
    return numbers;
}

Socket listener_of(Server& server) {
    for (const TcpRow& row : tcp_rows())
        for (const Socket& socket : sockets_of(server.pid()))
            if (row.state == tcp_listen && row.inode == socket.inode) return socket;
    FAIL("the server has no listening socket");
    return {};
}

bool is_in_readiness_call(pid_t pid) {
    const std::vector<Thread> threads = threads_of(pid);
    return std::any_of(threads.begin(), threads.end(), [](const Thread& thread) {
        return thread.call == "select" || thread.call == "poll" || thread.call == "epoll_wait";
    });
}

// A start that has to fail: status 1, and one line that has `address` and `reason`.
void expect_no_start(const std::vector<std::string>& command, const std::string& address,
                     const std::string& reason) {
    Server server(command, {.ready = Ready::at_once});
    CHECK(server.wait_exit() == 1);
    const std::string log = server.log();
    INFO("standard error: ", log);
    CHECK(lines_in(log) == 1);
    CHECK(log.find(address) != std::string::npos);
    CHECK(log.find(reason) != std::string::npos);
    CHECK(server.out().empty());
}

} // namespace

TEST_CASE("S1: it says on which port it listens, in one line, and does") {
    for (const Service service : both_services) {
        Server server = start(service);
        CHECK(server.host() == "127.0.0.1");
        expect_well(server, service);
        CHECK(server.out() == "listening on 127.0.0.1:" + std::to_string(server.port()) + '\n');
    }
}

TEST_CASE("S1: it listens on the port that it is told") {
    const int port = unused_port();
    Server server = start(Service::hotline, {"--port", std::to_string(port)});
    CHECK(server.port() == port);
    expect_well(server, Service::hotline);
}

TEST_CASE("S2: it binds 127.0.0.1 unless told otherwise") {
    // All of 127.0.0.0/8 is this machine, so its second address stands for a network here.
    Server alone = start(Service::hotline);
    CHECK_FALSE(answers("127.0.0.2", alone.port()));
    alone.stop();

    Server open = start(Service::hotline, {"--host", "0.0.0.0"});
    CHECK(open.host() == "0.0.0.0");
    CHECK(answers("127.0.0.2", open.port()));

    Server elsewhere = start(Service::echo, {"--host", "127.0.0.3"});
    CHECK(elsewhere.host() == "127.0.0.3");
    CHECK_FALSE(answers("127.0.0.1", elsewhere.port()));
    expect_well(elsewhere, Service::echo);
}

TEST_CASE("S3: nobody else gets in by SO_REUSEPORT") {
    Server server = start(Service::hotline);
    const OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    for (const int option : {SO_REUSEADDR, SO_REUSEPORT})
        REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, option, &yes, sizeof yes) == 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(server.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    CHECK(bound == -1);
    expect_well(server, Service::hotline);
}

TEST_CASE("S4: a second server on the same address ends with the reason, and the first goes on") {
    Server first = start(Service::hotline);
    const std::string port = std::to_string(first.port());
    expect_no_start(command_with({"--port", port}), "127.0.0.1:" + port, "ddress already in use");
    expect_well(first, Service::hotline);
}

TEST_CASE("S4: an address that is not there, or no address at all") {
    expect_no_start(command_with({"--host", "192.0.2.1"}), "192.0.2.1", "annot assign requested");
    for (const char* const host : {"nobody.invalid", "::1", "256.1.1.1", "127.1", "127.0.0.1 x"})
        expect_no_start(command_with({"--host", host}), host, "four numbers");
    expect_no_start(command_with({"--host", ""}), "listen", "four numbers");
}

TEST_CASE("S4: a port for which it has no right") {
    Words command = command_with({"--port", "80"});
    if (::getuid() == 0) // root without this one right is a user like others
        command.insert(command.begin(), {"setpriv", "--bounding-set=-net_bind_service"});
    if (file_text("/proc/sys/net/ipv4/ip_unprivileged_port_start") != "1024\n") {
        MESSAGE("skipped: here everybody may listen on port 80");
        return;
    }
    expect_no_start(command, "127.0.0.1:80", "ermission denied");
}

TEST_CASE("S4: a standard output that takes nothing: nobody would know the port") {
    Words command = command_with({});
    command.insert(command.begin(), {"sh", "-c", "exec \"$@\" >/dev/full", "sh"});
    expect_no_start(command, "standard output", "");
}

TEST_CASE("S5: two hundred callers wait their turn, and all are served") {
    Server server = start(Service::hotline);
    std::vector<Caller> callers;
    server.signal_all(SIGSTOP); // the kernel alone takes the calls now, up to the backlog
    for (int i = 0; i < 200; ++i)
        callers.push_back(server.call(std::to_string(i)));
    server.signal_all(SIGCONT);
    for (Caller& caller : callers) {
        caller.send("0\nexit\n");
        caller.expect_line_like("Welcome to 10086, *");
        caller.expect("0000\n");
        caller.expect_end();
        caller.close();
    }
    expect_well(server, Service::hotline);
}

TEST_CASE("S6: what it opens is closed in a program that it would start") {
    for (const Service service : both_services) {
        Server server = start(service);
        const Caller caller = served(server, service, "A");
        for (const Process& process : tree_of(server.pid()))
            for (const int fd : descriptors(process.pid)) {
                CAPTURE(fd);
                CHECK((fd <= STDERR_FILENO || (flags_of(process.pid, fd) & close_on_exec) != 0));
            }
    }
}

TEST_CASE("S6: who asks select, poll or epoll about its listener never waits in accept") {
    Server server = start(Service::hotline);
    served(server, Service::hotline, "A").close();
    const Deadline deadline = scaled(usual);
    while (threads_of(server.pid()).front().state != 'S' && !deadline.passed()) {
    }
    const bool must = is_in_readiness_call(server.pid());
    const bool does = (flags_of(server.pid(), listener_of(server).fd) & non_blocking) != 0;
    CHECK((does || !must));
}

TEST_CASE("S7: killed with callers on the line, it starts again at once") {
    const Words port = {"--port", std::to_string(unused_port())};
    for (int i = 0; i < 3; ++i) {
        Server server = start(Service::hotline, port);
        const Caller a = served(server, Service::hotline, "A");
        Caller b = server.call("B");
        server.kill();
    }
    // And after it was the first to close, which leaves its end in TIME_WAIT.
    for (int i = 0; i < 3; ++i) {
        Server server = start(Service::hotline, port);
        Caller a = served(server, Service::hotline, "A");
        a.send("exit\n");
        a.expect_end();
        a.close();
        server.stop();
    }
}

TEST_CASE("S8: started without standard streams, it gives their numbers to no socket") {
    for (const std::vector<int>& closed :
         std::vector<std::vector<int>>{{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}) {
        CAPTURE(closed.front());
        CAPTURE(closed.size());
        Server server = start(Service::hotline, {}, {.closed = closed, .ready = Ready::listens});
        Caller lost = served(server, Service::hotline, "lost");
        for (const Process& process : tree_of(server.pid()))
            for (const Socket& socket : sockets_of(process.pid))
                CHECK(socket.fd > STDERR_FILENO);
        lost.send(repeated(100, "big 10000\n"));
        lost.reset(); // something for the log
        Caller next = served(server, Service::hotline, "the next");
        next.expect_silence(100ms); // no word of the log goes to a caller
        next.close();
        server.stop();
    }
}
