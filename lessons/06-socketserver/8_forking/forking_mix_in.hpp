// Each request in a process of its own.
#pragma once

#include "address.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "incoming.hpp"
#include "log.hpp"
#include "readiness.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

extern "C" {
#include <sys/pidfd.h> // It does not say so itself in glibc 2.36.
}

// A mix-in again, and whoever knows ThreadingMixIn knows how to use it.
template <typename Server>
class ForkingMixIn : public Server {
public:
    // Python's defaults.
    template <typename... Arguments>
    explicit ForkingMixIn(Arguments&&... arguments)
        : Server(std::forward<Arguments>(arguments)...) {
        this->timeout = Seconds(300);
    }
    int max_children = 40;      // at the same time
    bool block_on_close = true; // server_close() waits for the children

    void server_close() override {
        Server::server_close();
        collect_children(block_on_close);
    }

protected:
    // Throws std::system_error where no process is to be had. All memory is taken before there is
    // a child: after that nothing may fail.
    void process_request(Incoming& request, const Address& client_address) override {
        active_children_.reserve(active_children_.size() + 1);
        this->lookout_.make_room();
        const pid_t child = check(::fork(), "fork");
        if (child == 0) serve_and_exit(request, client_address);

        // The end of a child makes this descriptor readable, and wakes us. Where there is none
        // left, we notice it a little later.
        Fd end(::pidfd_open(child, 0));
        if (end.number() != -1) this->lookout_.watch(end.number());
        active_children_.push_back({.pid = child, .end = std::move(end)});
        this->close_request(request); // Our copy. Not shutdown_request(): the child still talks.
    }

    // Reaps the children that have ended; those and no others, a program may have children for
    // other work. Blocking: waits for all.
    void collect_children(bool blocking = false) {
        for (std::size_t i = active_children_.size(); i-- > 0;) {
            int status = 0;
            const pid_t child = ::waitpid(active_children_[i].pid, &status, blocking ? 0 : WNOHANG);
            if (child == 0) continue; // It lives.
            if (child == -1 && errno == EINTR) {
                ++i; // The same one again.
                continue;
            }
            // ECHILD: somebody else has reaped it. Where it is still there, we ask another time.
            if (child == -1 && ::kill(active_children_[i].pid, 0) == 0) continue;
            if (child > 0 && WIFSIGNALED(status))
                log_line("child ", std::to_string(child), " died: ", strsignal(WTERMSIG(status)));
            forget(i);
        }
    }

    // When there are too many, Python sleeps in waitpid() until one has ended. We let requests
    // wait, and look up for all else. (Python reaps in service_actions() and handle_timeout(). This
    // comes by as often, and before either.)
    bool has_room() override {
        collect_children();
        return std::ssize(active_children_) < max_children && Server::has_room();
    }

private:
    struct Child {
        pid_t pid;
        Fd end; // readable when it has ended: pidfd_open(2)
    };

    // The child never returns to serve_forever(): that is the parent's. _exit(), as exit() would
    // end what the parent has begun (lesson 04, step 6).
    [[noreturn]] void serve_and_exit(Incoming& request, const Address& client_address) noexcept {
        int status = EXIT_FAILURE;
        try {
            this->forked();
            this->finish_request(request, client_address);
            status = EXIT_SUCCESS;
        } catch (const std::exception& error) {
            this->handle_error(request, client_address, error);
        } catch (...) {
            log_line("lost a caller: the handler has thrown what is no std::exception");
        }
        this->shutdown_request(request);
        ::_exit(status);
    }

    void forget(std::size_t i) {
        const auto child = active_children_.begin() + static_cast<std::ptrdiff_t>(i);
        if (child->end.number() != -1) this->lookout_.unwatch(child->end.number());
        active_children_.erase(child);
    }

    std::vector<Child> active_children_;
};
