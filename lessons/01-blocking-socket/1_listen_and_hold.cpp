// 01 blocking socket, step 1: listen and hold.
//
// Idea     listen() asks the kernel to answer the phone for us. We never pick it up.
// Run it   ./lab run 01/1    and in a second terminal    ./lab client 01
// See      The client connects, and it can even send. Then it waits for a greeting.
// Broken   Nobody answers.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <system_error>

// A system call that must not fail goes through here. Its result comes back, or an exception
// flies that says which call failed and why ("bind: Address already in use").
auto check(auto result, const char* call) {
    if (result == -1) throw std::system_error(errno, std::generic_category(), call);
    return result;
}

int main() try {
    // A descriptor is a small number. It names something that the kernel keeps for us: here a
    // socket for a stream of bytes over the Internet protocol. CLOEXEC: a program that we start
    // one day does not inherit it.
    const int listener = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    // The address 127.0.0.1 is this machine, seen only from this machine. Port 0 means: any port
    // that is free. On the wire the biggest byte comes first: htonl and htons put it there.
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(0);
    socklen_t size = sizeof address;
    check(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");

    // From now on the kernel accepts connections by itself and keeps them in a queue, the
    // backlog. SOMAXCONN asks for the longest queue that the system allows.
    check(::listen(listener, SOMAXCONN), "listen");

    // Which port was free?
    check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    std::cout << "listening on 127.0.0.1:" << ntohs(address.sin_port) << std::endl;

    ::pause(); // Sleep until a signal ends us. No accept(), and still there are callers.
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
