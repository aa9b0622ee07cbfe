// Answers the requests of one caller, one after another on one connection.
#pragma once

#include "answer.hpp"
#include "check.hpp"
#include "log.hpp"
#include "our_rules.hpp"
#include "read_head.hpp"
#include "readiness.hpp"
#include "request_head.hpp"
#include "send_file.hpp"
#include "site.hpp"
#include "stream_request_handler.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cstddef>
#include <ctime>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
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

    // After a page its pictures are asked for, so the connection stays open. Requests that come
    // early wait in rfile, and in the kernel.
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
        return answer_for(*text);
    } catch (const Refusal& refusal) {
        return answer_to(refusal);
    }

    // What fails in here can still be a 500. Once a byte is out, we can only end the connection.
    Answer answer_for(const std::string& text) try {
        const RequestHead head = request_head_from(text);
        asked_ = head.method + ' ' + head.target;
        check_our_rules(head);
        return site_.answer_to(head);
    } catch (const Refusal&) {
        throw;
    } catch (const std::exception& error) {
        throw failure(error.what());
    } catch (...) {
        throw failure("the handler has thrown what is no std::exception");
    }

    Refusal failure(std::string_view why) const {
        log_line(client_address.text(), " ", asked_, ": ", why);
        return {500, "This server cannot answer that. Its log says why."};
    }

    // One deadline for all its lines: a client that sends a byte now and then gets no more time.
    std::optional<std::string> next_head() try {
        const auto start = Clock::now();
        first_line_.clear();
        return read_head([&](std::size_t limit) {
            if (timeout) patience.timeout = *timeout - (Clock::now() - start);
            std::string line = rfile.readline(limit);
            if (first_line_.empty()) first_line_ = line.substr(0, line.find_first_of("\r\n"));
            return line;
        });
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::timed_out) throw;
        if (first_line_.empty()) return std::nullopt; // Nothing is asked, nothing is to be said.
        throw Refusal(408, "This request took too long.");
    }

    // The one way out, so the rule of HEAD is here: the head of any answer, and no content.
    void say(const Answer& answer) {
        log_line(client_address.text(), " ", asked_, " ", std::to_string(answer.status), " ",
                 std::to_string(answer.size));
        patience.timeout = timeout;
        const auto head = head_text(answer, std::time(nullptr));
        const bool is_for_head = first_line_.starts_with("HEAD ");
        wfile.write(is_for_head ? head : head + answer.text);
        if (!is_for_head && answer.file.number() != -1) send_file(request.socket, patience, answer);
    }

    // After a refusal much may be unread, and a close() would destroy the answer (lesson 01, step
    // 8). So we end our direction and read on, for at most a second.
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
    std::string first_line_; // of the request, also of one that we cannot read
    std::string asked_;      // for the log
};
