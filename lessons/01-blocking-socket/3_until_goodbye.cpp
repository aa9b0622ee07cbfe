// 01 blocking socket, step 3: until goodbye.
//
// Idea     recv() answers three things: bytes came (1 or more), the end came (0), an error (-1).
// Run it   ./lab run 01/3    and in a second terminal    ./lab client 01
// See      A conversation as long as the caller wants. Leave with Ctrl-D.
// Was      Step 2 heard one thing only.
// Broken   The next caller finds the port closed.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>

// A system call that must not fail goes through here. Its result comes back, or an exception
// flies that says which call failed and why ("bind: Address already in use").
auto check(auto result, const char* call) {
    if (result == -1) throw std::system_error(errno, std::generic_category(), call);
    return result;
}

// A socket that listens on 127.0.0.1. Port 0 means: any port that is free.
int listen_on(in_port_t port) {
    const int listener = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    check(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");
    check(::listen(listener, SOMAXCONN), "listen");
    check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    std::cout << "listening on 127.0.0.1:" << ntohs(address.sin_port) << std::endl;
    return listener;
}

std::string greeting() {
    return "Welcome to 10086, blocking, pid " + std::to_string(::getpid()) + ", thread " +
           std::to_string(::gettid()) + "\n";
}

// Greets the caller, then says again what it hears, until the caller says goodbye.
void serve(int caller) {
    const std::string hello = greeting();
    check(::send(caller, hello.data(), hello.size(), 0), "send");

    // The array is the room that we have. `count` is what came: 1 byte up to all the room.
    std::array<char, 4096> bytes{};
    while (true) {
        const ssize_t count = check(::recv(caller, bytes.data(), bytes.size(), 0), "recv");

        // 0 does not mean "nothing yet": for that, recv() sleeps. It means: the caller has closed
        // their side, and no byte will ever come again.
        if (count == 0) return;
        check(::send(caller, bytes.data(), static_cast<size_t>(count), 0), "send");
    }
}

int main() try {
    const int listener = listen_on(0);

    // Sleeps until somebody has connected. The listener stays what it is; the answer is a new
    // descriptor for the conversation with this one caller.
    const int caller = check(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept");
    serve(caller);
    check(::close(caller), "close");
    check(::close(listener), "close");
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
