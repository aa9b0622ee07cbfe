// 06 socketserver, step 1: the skeleton.
//
// Idea     Every server waits for a request and leads it through the same stations. BaseServer does
//          that, and knows nothing about sockets: what a request is, and where it comes from, says
//          a derived class. Here it is a letter in a box.
// Run it   ./lab run 06/1
// See      handle_request() handles one letter, or waits in vain. serve_forever() handles all that
//          come, until another thread calls shutdown().
// Was      In lessons 01 to 04 each server had its loop for itself, and there were four of them.
// Broken   shutdown() has to wait until the loop looks up: half a second. Step 9.
// New      address.hpp, base_server.hpp, incoming.hpp, readiness.hpp, shift.hpp

#include "base_server.hpp"
#include "check.hpp"
#include "fd.hpp"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

// A pair of sockets, connected with each other: what is put in at one end comes out at the other,
// one letter at a time (unix(7)).
class LetterBox final : public BaseServer {
public:
    LetterBox() {
        std::array<int, 2> ends{};
        check(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
        slot_ = Fd(ends[0]);
        inside_ = Fd(ends[1]);
    }

    // From any thread.
    void post(const std::string& letter) const {
        check(::send(slot_.number(), letter.data(), letter.size(), 0), "send");
    }
    void wait_until_empty() const { last_read_.wait(false); }

    int fileno() const override { return inside_.number(); }

protected:
    std::pair<Incoming, Address> get_request() override {
        std::string letter(100, '\0');
        const auto size = ::recv(fileno(), letter.data(), letter.size(), MSG_DONTWAIT);
        letter.resize(static_cast<std::size_t>(check(size, "recv")));
        return {Incoming{.socket = {}, .packet = letter}, Address()};
    }

    void finish_request(Incoming& request, const Address& /*client_address*/) override {
        std::cout << "a letter: " << request.packet << std::endl;
        if (request.packet != "the last one") return;
        last_read_ = true;
        last_read_.notify_one();
    }

    void handle_timeout() override { std::cout << "no letter" << std::endl; }

private:
    Fd slot_;
    Fd inside_;
    std::atomic<bool> last_read_ = false;
};

int main() try {
    LetterBox box;
    box.timeout = Seconds(0.2);
    box.handle_request();
    box.post("hello");
    box.handle_request();

    std::thread postman([&box] {
        box.post("how are you");
        box.post("the last one");
        box.wait_until_empty();
        box.shutdown();
    });
    box.serve_forever();
    postman.join();
    std::cout << "serve_forever() has returned" << std::endl;
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
