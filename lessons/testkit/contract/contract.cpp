#include "contract.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <sstream>
#include <system_error>
#include <thread>

Subject& subject() {
    static Subject the_subject;
    return the_subject;
}

std::string name_of(Service service) {
    return service == Service::hotline ? "hotline" : "echo";
}

std::vector<std::string> command_with(const Words& options) {
    std::vector<std::string> command = subject().command;
    command.insert(command.end(), options.begin(), options.end());
    return command;
}

Server start(Service service, const Words& options, const ServerOptions& how) {
    Words all = {"--service", name_of(service)};
    all.insert(all.end(), options.begin(), options.end());
    ServerOptions usual_limits = how;
    usual_limits.limits.try_emplace(RLIMIT_NOFILE, 1024); // ours is higher
    return Server(command_with(all), usual_limits);
}

Caller served(Server& server, Service service, const std::string& name,
              const CallerOptions& options, Seconds within) {
    Caller caller = server.call(name, options);
    if (service == Service::hotline) {
        caller.expect_line_like("Welcome to 10086, *, pid *, thread *", within);
        caller.send("0\n");
        caller.expect("0000\n", within);
    } else {
        caller.send("hello\n");
        caller.expect("hello\n", within);
    }
    return caller;
}

void expect_well(Server& server, Service service) {
    served(server, service, "the next").close();
    server.stop();
}

Counts at_rest(Server& server, Service service) {
    served(server, service, "the first").close(); // what it allocates once, it has now
    const auto same = [](const Counts& a, const Counts& b) {
        return a.descriptors == b.descriptors && a.threads == b.threads && a.children == b.children;
    };
    // The caller may still be leaving. It is at rest when two looks in a row show the same.
    const Deadline deadline = scaled(usual);
    Counts before;
    Counts now = server.counts();
    do {
        before = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        now = server.counts();
    } while (!same(before, now) && !deadline.passed());
    return now;
}

std::string heard_until_gone(Caller& caller, Seconds within) {
    const Deadline deadline = scaled(within);
    std::string heard;
    std::vector<char> bytes(64 * kibibyte);
    while (!deadline.passed()) {
        const ssize_t count = ::recv(caller.fd(), bytes.data(), bytes.size(), 0);
        if (count > 0) {
            heard.append(bytes.data(), static_cast<std::size_t>(count));
            continue;
        }
        if (count == 0 || errno == ECONNRESET) return heard;
        pollfd readable{caller.fd(), POLLIN, 0};
        ::poll(&readable, 1, deadline.milliseconds());
    }
    caller.expect_gone(Seconds(0)); // fails, and tells why
    return heard;
}

std::string noise(std::size_t count, std::uint_fast64_t seed) {
    std::mt19937_64 random(seed); // the standard says which numbers it gives
    std::string bytes(count + 8, '\0');
    for (std::size_t at = 0; at < count; at += 8) {
        const std::uint64_t eight = random();
        std::memcpy(bytes.data() + at, &eight, sizeof eight);
    }
    bytes.resize(count);
    return bytes;
}

namespace {

sockaddr_in address_of(const std::string& host, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    return address;
}

OwnedFd tcp_socket() {
    OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.is_open()) throw std::system_error(errno, std::generic_category(), "socket");
    return fd;
}

} // namespace

int unused_port() {
    // The kernel chooses from 32768 on. There a port that is free now may be somebody's own end of
    // a connection a moment later, and stays so for a minute after it is closed.
    constexpr int lowest = 10'000;
    constexpr int count = 20'000;
    static int last = lowest + static_cast<int>(::getpid() * 37 % count);
    while (true) {
        last = last + 1 < lowest + count ? last + 1 : lowest;
        const OwnedFd fd = tcp_socket();
        const sockaddr_in address = address_of("127.0.0.1", last);
        if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            return last;
    }
}

bool answers(const std::string& host, int port) {
    const OwnedFd fd = tcp_socket();
    const sockaddr_in address = address_of(host, port);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

namespace {

std::size_t peak_memory_of(pid_t pid) {
    std::istringstream status(file_text("/proc/" + std::to_string(pid) + "/status"));
    for (std::string name; status >> name;) {
        std::size_t kibibytes = 0;
        if (name == "VmHWM:" && status >> kibibytes) return kibibytes * kibibyte;
    }
    return 0; // it has ended
}

} // namespace

// A child is born with its parent's memory, and shares it. What counts is what it has beyond that.
std::size_t peak_memory(Server& server) {
    const std::size_t own = peak_memory_of(server.pid());
    std::size_t sum = own;
    for (const Process& process : tree_of(server.pid()))
        sum += std::max(peak_memory_of(process.pid), own) - own;
    return sum;
}

void let_it_rest(Server& server) {
    const Deadline deadline = scaled(std::chrono::seconds(1));
    while (share_of_processor(server, std::chrono::milliseconds(200)) > 0.01 &&
           !deadline.passed()) {
    }
}

double share_of_processor(Server& server, Seconds time) {
    const auto begin = Clock::now();
    const Seconds before = server.cpu_time();
    std::this_thread::sleep_for(time);
    return (server.cpu_time() - before) / Seconds(Clock::now() - begin);
}

std::size_t lines_in(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}
