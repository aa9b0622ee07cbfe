// Given: the log, on standard error. It never waits for its reader.
#pragma once

#include <poll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstddef>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

// Would a write of at most PIPE_BUF bytes (4,096) return at once? A pipe that nobody reads is full
// after 64 KiB, and after Ctrl-S a terminal takes nothing: write() would sleep, and with it the
// server. O_NONBLOCK is no answer, since it belongs to the open file (open(2)): the shell and all
// other programs that write to the same terminal would have it too. So we ask. poll() says POLLOUT
// while a pipe has a free page, and a page holds PIPE_BUF bytes (pipe(7)).
inline bool has_room(int descriptor) {
    pollfd asked{.fd = descriptor, .events = POLLOUT, .revents = 0};
    return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLOUT) != 0;
}

// A number in memory that we share with the children that we will fork: they drop lines too.
inline std::atomic<unsigned>& shared_number() {
    static std::atomic<unsigned> own; // where there is no memory to share
    void* page =
        ::mmap(nullptr, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? own : *new (page) std::atomic<unsigned>(0);
}

inline std::atomic<unsigned>& dropped_lines = shared_number(); // since we last said how many

// Between our question and our write another thread could fill the pipe. So they go one by one, and
// wait for a moment only: nobody sleeps in here. Processes that share the log have no lock. It would
// take forty lines of theirs in that moment to fill the page.
inline std::mutex log_mutex;

// Writes its pieces as one line, with one system call, so that the lines of two threads or processes
// do not mix. Where the log takes no more, the line is dropped, and the next one that finds room says
// how many were. It asks for no memory, since it may have to say that there is none (a number of up
// to 15 digits fits into a std::string itself). Never fails: a server does not die because nobody
// reads its log. (It ignores SIGPIPE for that.) The pieces are our own words: what a client sent may
// hold commands for the reader's terminal.
template <typename... Pieces>
void log_line(const Pieces&... pieces) {
    const std::lock_guard lock(log_mutex);
    if (!has_room(STDERR_FILENO)) {
        ++dropped_lines;
        return;
    }
    const unsigned dropped = dropped_lines.exchange(0);
    const std::string number = dropped > 0 ? std::to_string(dropped) : "";
    const std::string_view were_dropped = dropped == 0   ? ""
                                          : dropped == 1 ? " log line was dropped\n"
                                                         : " log lines were dropped\n";
    const std::array<std::string_view, sizeof...(pieces) + 3> words{number, were_dropped, pieces...,
                                                                    "\n"};
    std::array<iovec, words.size()> line;
    std::size_t room = PIPE_BUF; // A longer line is cut.
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::size_t still_to_come = i + 1 < words.size() ? 1 : 0; // the end of the line
        const std::size_t size = std::min(words[i].size(), room - still_to_come);
        line[i] = {const_cast<char*>(words[i].data()), size};
        room -= size;
    }
    const ssize_t written = ::writev(STDERR_FILENO, line.data(), line.size());
    if (written != static_cast<ssize_t>(PIPE_BUF - room)) dropped_lines += dropped + 1;
}
