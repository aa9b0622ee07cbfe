// A server that is open from its first moment on, until its last.
#pragma once

#include <utility>

// In Python the constructor of TCPServer calls server_bind() and server_activate(), and finds those
// of the derived class. In C++ the derived class is not there yet while a base is made, and not any
// more while it is destroyed. So the last class of all does it: this one, which nobody derives
// from. (Python's third argument, bind_and_activate=False, is a server without Open.)
//
//     Open<TCPServer> server(Address("127.0.0.1", 0));
template <typename Server>
class Open final : public Server {
public:
    // Throws what server_bind() and server_activate() throw; then nothing stays open.
    template <typename... Arguments>
    explicit Open(Arguments&&... arguments) : Server(std::forward<Arguments>(arguments)...) {
        try {
            this->server_bind();
            this->server_activate();
        } catch (...) {
            this->server_close();
            throw;
        }
    }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

    // What Python's `with` does at its end. Threads that are not over use the server: they are
    // waited for, whatever server_close() thinks about that.
    ~Open() override {
        this->server_close();
        if constexpr (requires { this->join_threads(); }) this->join_threads();
    }
};
