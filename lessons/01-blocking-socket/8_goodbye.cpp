// 01 blocking socket, step 8: goodbye.
//
// Idea     A connection has two directions, and each ends by itself (half-close). A caller who has
//          said the last word still listens; and when we are done, more may be on its way to us.
// Run it   ./lab run 01/8    and then    printf 'echo a\necho b' | nc -N 127.0.0.1 PORT
// See      Both answers come, then the end of the stream, never "connection reset".
// Was      Step 7 closed with bytes unread. The kernel answers that with a reset, and a reset can
//          destroy answers that are still on their way.
// Broken   A caller who says nothing holds the line for ever. Only a kill ends this server. A log
//          that nobody reads stops it, as in step 7.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// A system call that must not fail goes through here. Its result comes back, or an exception
// flies that says which call failed and why ("bind: Address already in use").
auto check(auto result, const char* call) {
    if (result == -1) throw std::system_error(errno, std::generic_category(), call);
    return result;
}

// Calls again for as long as a signal wakes the call before it has done anything.
auto insist(const char* name, auto call) {
    while (true) {
        const auto result = call();
        if (result != -1 || errno != EINTR) return check(result, name);
    }
}

// Owns one descriptor: whoever holds this object need not think of close(). However we leave, by
// return or by exception, the destructor closes. It does so once: an Fd can move, not be copied.
class Fd {
public:
    explicit Fd(int number) : number_(number) {}
    Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    ~Fd() {
        if (number_ != -1) ::close(number_);
    }
    int number() const { return number_; }

private:
    int number_;
};

// A socket that listens on 127.0.0.1. Port 0 means: any port that is free.
Fd listen_on(in_port_t port) {
    Fd listener(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));

    // After we end, the kernel remembers our connections for a minute (TIME_WAIT). With this we
    // may take our port again in the meantime, as long as nobody listens on it.
    const int yes = 1;
    check(::setsockopt(listener.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes),
          "setsockopt");

    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    auto* where = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener.number(), where, size), "bind");
    check(::listen(listener.number(), SOMAXCONN), "listen");
    check(::getsockname(listener.number(), where, &size), "getsockname");
    std::cout << "listening on 127.0.0.1:" << ntohs(address.sin_port) << std::endl;
    return listener;
}

std::string greeting() {
    return "Welcome to 10086, blocking, pid " + std::to_string(::getpid()) + ", thread " +
           std::to_string(::gettid()) + "\n";
}

// Cuts the stream of one caller into lines.
class Lines {
public:
    static constexpr size_t longest = 1024;

    void add(std::string_view bytes) { waiting_ += bytes; }

    // The next whole line without its end; nothing while its end has not come.
    std::optional<std::string> next() {
        const size_t end = waiting_.find('\n');
        if (end == std::string::npos || too_long()) return std::nullopt;
        std::string line = waiting_.substr(0, end);
        waiting_.erase(0, end + 1);
        if (line.ends_with('\r')) line.pop_back(); // Some callers end their lines with \r\n.
        return line;
    }

    // What came after the last line end, when the caller says no more: the last line.
    std::optional<std::string> rest() {
        if (waiting_.empty() || too_long()) return std::nullopt;
        return std::exchange(waiting_, {});
    }

    // Is the line too long, whether its end has come or not? Who does not ask this lets one caller
    // fill our memory.
    bool too_long() const { return std::min(waiting_.find('\n'), waiting_.size()) > longest; }

private:
    std::string waiting_;
};

// What we answer to a line. Nothing means goodbye.
std::optional<std::string> answer(const std::string& line) {
    if (line == "exit") return std::nullopt;
    if (line == "0") return "0000\n";
    if (line.starts_with("echo ")) return line.substr(5) + '\n';
    return "Do it again\n";
}

// Sends all of it. The kernel keeps some megabytes for a caller who reads slowly; then send()
// sleeps. When a signal wakes it, it says how many bytes it has taken so far.
void say(const Fd& caller, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count =
            insist("send", [&] { return ::send(caller.number(), text.data(), text.size(), 0); });
        text.remove_prefix(static_cast<size_t>(count));
    }
}

// Waits for bytes. 0 means: the caller says no more.
size_t hear(const Fd& caller, std::span<char> room) {
    return static_cast<size_t>(
        insist("recv", [&] { return ::recv(caller.number(), room.data(), room.size(), 0); }));
}

// Greets the caller and answers line by line, until one of the two says goodbye.
void serve(const Fd& caller) {
    say(caller, greeting());
    Lines lines;
    std::array<char, 4096> bytes{};
    while (true) {
        const size_t count = hear(caller, bytes);
        lines.add({bytes.data(), count});
        while (const auto line = count > 0 ? lines.next() : lines.rest()) {
            const auto reply = answer(*line);
            if (!reply) return;
            say(caller, *reply);
        }
        if (lines.too_long()) return say(caller, "Line too long\n");
        if (count == 0) return;
    }
}

// Ends the connection so that the caller gets all we said. First we end our direction only. Then
// we read and forget what the caller still says, until they end too. A close() with bytes unread
// would be a reset. A second for each piece, a thousand pieces: we do not wait for ever.
void say_goodbye(const Fd& caller) {
    check(::shutdown(caller.number(), SHUT_WR), "shutdown");
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    check(::setsockopt(caller.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience),
          "setsockopt");
    std::array<char, 4096> forgotten{};
    for (int pieces = 0; pieces < 1000; ++pieces)
        if (hear(caller, forgotten) == 0) return;
}

// What accept() says of a caller who was gone before we picked up (accept(2) has the list). That
// is their trouble, not ours: the next one may be fine.
bool passes(int error) {
    constexpr std::array passing{EINTR,        ECONNABORTED, EPERM,      ENETDOWN,
                                 EPROTO,       ENOPROTOOPT,  EHOSTDOWN,  ENONET,
                                 EHOSTUNREACH, EOPNOTSUPP,   ENETUNREACH};
    return std::ranges::find(passing, error) != passing.end();
}

// No descriptor or no memory is left. The caller stays in the queue: to call again at once would
// fail again at once, and cost a whole processor.
bool is_short_of_room(int error) {
    constexpr std::array shortages{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    return std::ranges::find(shortages, error) != shortages.end();
}

// The next caller.
Fd pick_up(const Fd& listener) {
    while (true) {
        const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
        if (caller != -1) return Fd(caller);
        if (passes(errno)) continue;
        if (!is_short_of_room(errno)) check(caller, "accept"); // Our own mistake: the end.
        std::cerr << "no room for a caller: " << std::strerror(errno) << "; I wait a second\n";
        ::sleep(1);
    }
}

// The port to listen on: the first argument, or 0 where there is none.
in_port_t port_from(int argc, char** argv) {
    in_port_t port = 0;
    const std::string_view text = argc > 1 ? argv[1] : "0";
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error == std::errc{} && end == text.data() + text.size()) return port;
    std::cerr << argv[0] << ": the port is a number from 0 to 65535, not \"" << text
              << "\"\nusage: " << argv[0] << " [PORT]\n";
    std::exit(2); // The sign for a wrong command line.
}

// Does nothing. But a signal with a handler wakes the call in which we sleep; without SA_RESTART
// the call says so, with EINTR. Real servers have handlers for a reason: step 9 has one.
extern "C" void on_signal(int /*number*/) {}

int main(int argc, char** argv) try {
    struct sigaction action {};
    action.sa_handler = on_signal;
    check(::sigaction(SIGUSR1, &action, nullptr), "sigaction");

    // To send to a caller who is gone is an error, EPIPE. It is also a signal, SIGPIPE, that ends
    // the program, unless we ignore it. The error is enough.
    action.sa_handler = SIG_IGN;
    check(::sigaction(SIGPIPE, &action, nullptr), "sigaction");

    const Fd listener = listen_on(port_from(argc, argv));
    while (true) {
        const Fd caller = pick_up(listener);
        try {
            serve(caller);
            say_goodbye(caller);
        } catch (const std::exception& error) {
            std::cerr << "lost a caller: " << error.what() << '\n';
        }
    } // Here `caller` ends, and with it the connection. Forget that, and descriptors run out.
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
