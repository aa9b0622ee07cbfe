// Answers the requests of one caller, one after another on one connection.
#pragma once

#include "answer.hpp"
#include "check.hpp"
#include "log.hpp"
#include "our_rules.hpp"
#include "read_head.hpp"
#include "readiness.hpp"
#include "request_head.hpp"
#include "site.hpp"
#include "stream_request_handler.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

class FileHandler final : public StreamRequestHandler {
public:
    // So long a caller may take for one request, and for one piece of an answer.
    FileHandler(Incoming& incoming, const Address& address, BaseServer& its_server,
                const Site& site, std::optional<Seconds> idle_timeout)
        : StreamRequestHandler(incoming, address, its_server), site_(site) {
        timeout = idle_timeout;
        disable_nagle_algorithm = true; // Our pieces are as large as they can be.
    }

protected:
    void setup() override {
        StreamRequestHandler::setup();
        // rfile and wfile say MSG_DONTWAIT with each call. sendfile() has no such word.
        check(::fcntl(request.socket.number(), F_SETFL, O_NONBLOCK), "fcntl");
    }

    // Whoever asks for a page asks for its pictures next, so the connection stays. Requests that
    // come before their turn wait in rfile, and in the kernel.
    void handle() override {
        for (bool open = true; open;) {
            const auto answer = next_answer();
            if (!answer) break;
            say(*answer);
            open = answer->stays_open;
        }
        say_goodbye();
    }

private:
    std::optional<Answer> next_answer() try {
        asked_ = "-";
        const auto text = next_head();
        if (!text) return std::nullopt;
        const RequestHead head = request_head_from(*text);
        asked_ = head.method + ' ' + head.target;
        check_our_rules(head);
        return site_.answer_to(head);
    } catch (const Refusal& refusal) {
        return answer_to(refusal);
    }

    // One deadline for all its lines: who drips a byte now and then gets no more time for it.
    std::optional<std::string> next_head() {
        const auto start = Clock::now();
        bool has_begun = false;
        try {
            return read_head([&](std::size_t limit) {
                if (timeout) patience.timeout = *timeout - (Clock::now() - start);
                std::string line = rfile.readline(limit);
                has_begun = true;
                return line;
            });
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::timed_out) throw;
            if (!has_begun) return std::nullopt; // Nothing is asked, so nothing is to be said.
            throw Refusal(408, "This request took too long.");
        }
    }

    void say(const Answer& answer) {
        log_line(client_address.text(), " ", asked_, " ", std::to_string(answer.status), " ",
                 std::to_string(answer.size));
        patience.timeout = timeout;
        wfile.write(head_text(answer, std::time(nullptr)) + answer.text);
        if (answer.file.number() != -1) send_part(answer);
    }

    // Piece by piece: the timeout is for a piece, so whoever takes less than one in that time is
    // too slow, however often they take a byte.
    void send_part(const Answer& answer) {
        constexpr off_t piece = 65536;
        auto place = static_cast<off_t>(answer.first);
        const auto end = static_cast<off_t>(answer.first + answer.size);
        while (place < end)
            send_piece(answer.file, place, std::min(end, place + piece));
    }

    // The bytes do not come to us: the kernel gives to the connection what it has in its memory of
    // the file. And nothing falls where the file gets shorter; memory from mmap() would end with
    // SIGBUS. 0 means that there is no more. So many bytes have been promised, and the caller waits
    // for them: all that is left is to end the connection, so that they see it.
    void send_piece(const Fd& file, off_t& place, off_t end) {
        const int caller = request.socket.number();
        const auto deadline = patience.end();
        while (place < end) {
            patience.wait("sendfile", caller, POLLOUT, deadline);
            const auto size = static_cast<std::size_t>(end - place);
            const auto count = ::sendfile(caller, file.number(), &place, size);
            if (count == 0) throw std::runtime_error("the file has shrunk while it was sent");
            if (count == -1 && errno != EINTR && errno != EAGAIN) check(-1, "sendfile");
        }
    }

    // After a refusal much may be unread, and a close() would destroy the answer (lesson 01, step
    // 8). So we end our direction and read on, for a second at most.
    void say_goodbye() {
        const auto end = Clock::now() + Seconds(1);
        ::shutdown(request.socket.number(), SHUT_WR);
        try {
            do
                patience.timeout = end - Clock::now();
            while (!rfile.read1(65536).empty());
        } catch (const std::system_error&) {
        } // They take longer, or are gone.
    }

    const Site& site_;
    std::string asked_; // for the log
};
