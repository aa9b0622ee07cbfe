// 01 blocking socket, step 4: one after another.
//
// Idea     A loop around accept(). Every descriptor has an owner that closes it.
// Run it   ./lab run 01/4    and in two more terminals    ./lab client 01
// See      The second caller waits in the kernel's queue. The first one leaves; now it is greeted.
// Was      Step 3 went home after one caller.
// Broken   It echoes pieces as they come. But where does a question end?

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <iostream>
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

// Greets the caller, then says again what it hears, until the caller says goodbye.
void serve(const Fd& caller) {
    const std::string hello = greeting();
    check(::send(caller.number(), hello.data(), hello.size(), 0), "send");

    std::array<char, 4096> bytes{};
    while (true) {
        const ssize_t count = check(::recv(caller.number(), bytes.data(), bytes.size(), 0), "recv");
        if (count == 0) return;
        check(::send(caller.number(), bytes.data(), static_cast<size_t>(count), 0), "send");
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

int main(int argc, char** argv) try {
    const Fd listener = listen_on(port_from(argc, argv));
    while (true) {
        const Fd caller(
            check(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
        serve(caller);
    } // Here `caller` ends, and with it the connection. Forget that, and descriptors run out.
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
