// The path of a Unix socket, from bind() to its end.
#pragma once

#include "address.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "readiness.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

// A port is free when its owner has ended. A path stays, whoever has died: the next bind() says
// that it is in use. So we look who lives there, and remove what is dead; a living server keeps its
// path, and a file that is no socket is none of our business.
class SocketPath {
public:
    // All functions throw std::system_error. `permissions` say who may connect, as for a file: a
    // socket takes its own along to the path. To change those of the path afterwards would leave
    // a moment in which it is open to all.
    void bind(int socket, const Address& address, mode_t permissions) {
        lock_folder_of(address.path());
        check(::fchmod(socket, permissions), "fchmod");
        int result = ::bind(socket, address.get(), address.size());
        if (result == -1 && errno == EADDRINUSE && nobody_lives_at(address)) {
            check(::unlink(address.path().c_str()), "unlink");
            result = ::bind(socket, address.get(), address.size());
        }
        check(result, "bind");
        path_ = address.path();
        check(::lstat(path_.c_str(), &ours_), "lstat");
    }

    // From now on connect() finds us. Until then a second server could take us for dead, and so it
    // had to wait.
    void is_alive() { folder_ = Fd(); }

    // If it is still ours: somebody may have removed it, and put their own there.
    void remove() {
        struct stat there {};
        if (!path_.empty() && ::lstat(path_.c_str(), &there) == 0 && there.st_dev == ours_.st_dev &&
            there.st_ino == ours_.st_ino)
            ::unlink(path_.c_str());
        path_.clear();
        folder_ = Fd();
    }

private:
    // Two servers that start at once would both find a dead path, and the slower one would remove
    // the path of the quicker one. So one of them looks, and the other waits. The kernel frees the
    // lock when the descriptor is closed, or its owner dies. But whoever may read the folder may
    // lock it, and keep it locked: we ask again and again, for a second at most.
    void lock_folder_of(const std::filesystem::path& path) {
        const auto folder = path.has_parent_path() ? path.parent_path() : ".";
        folder_ = Fd(check(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open"));
        const auto deadline = deadline_in(Seconds(1));
        while (::flock(folder_.number(), LOCK_EX | LOCK_NB) == -1) {
            if (errno != EWOULDBLOCK && errno != EINTR) check(-1, "flock");
            if (Clock::now() >= deadline)
                throw std::system_error(EWOULDBLOCK, std::generic_category(),
                                        "another program has locked the folder " + folder.string() +
                                            " (lslocks names it)");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }

    // A socket refuses the connection when no process has it open any more. Any other answer is a
    // sign of life: that it is the other kind of socket, or that its accept queue is full (EAGAIN;
    // without SOCK_NONBLOCK we would wait for room in it, and no deadline would end that).
    static bool nobody_lives_at(const Address& address) {
        struct stat there {};
        if (::lstat(address.path().c_str(), &there) == -1 || !S_ISSOCK(there.st_mode)) {
            errno = EADDRINUSE;
            return false;
        }
        const Fd probe(
            check(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
        const int result = ::connect(probe.number(), address.get(), address.size());
        const bool dead = result == -1 && errno == ECONNREFUSED;
        errno = EADDRINUSE;
        return dead;
    }

    Fd folder_;
    std::string path_;
    struct stat ours_ {};
};
