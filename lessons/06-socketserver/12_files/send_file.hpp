// Sends what is in a file without reading it.
#pragma once

#include "answer.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "patience.hpp"

#include <poll.h>
#include <sys/sendfile.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <stdexcept>

// The bytes do not come to us: the kernel gives to the connection what it has in its memory of the
// file. And we do not crash where the file gets shorter, as with memory from mmap() (SIGBUS). 0 means
// that there is no more. The client has been promised more: all that is left is to end the
// connection, so that it sees that.
inline void send_piece(const Fd& socket, Patience& patience, const Fd& file, off_t& place,
                       off_t end) {
    const auto deadline = patience.end();
    while (place < end) {
        patience.wait("sendfile", socket.number(), POLLOUT, deadline);
        const auto size = static_cast<std::size_t>(end - place);
        const auto count = ::sendfile(socket.number(), file.number(), &place, size);
        if (count == 0) throw std::runtime_error("the file has shrunk while it was sent");
        if (count == -1 && errno != EINTR && errno != EAGAIN) check(-1, "sendfile");
    }
}

// Piece by piece: the timeout is for a piece. A client that takes less than one in that time is too
// slow, however often it takes a byte.
inline void send_file(const Fd& socket, Patience& patience, const Answer& answer) {
    constexpr off_t piece = 65536;
    auto place = static_cast<off_t>(answer.first);
    const auto end = static_cast<off_t>(answer.first + answer.size);
    while (place < end)
        send_piece(socket, patience, answer.file, place, std::min(end, place + piece));
}
