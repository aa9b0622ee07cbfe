// Reads one HTTP answer, in whatever pieces it comes. It makes no system call.
#pragma once

#include "http_head.hpp"
#include "page.hpp"
#include "request.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// It throws std::runtime_error for what is no HTTP, or too much. A server may send what it likes;
// so whatever has no end of its own has a bound here: the head, a line, the page.
class HttpReader {
public:
    static constexpr std::size_t longest_head = 16384;

    explicit HttpReader(std::uint64_t most) : most_(most) {}

    void receive(std::string_view bytes) {
        if (!finished()) input_ += bytes;
        while (!finished() && (this->*next_)()) {
        }
    }

    // They say no more. For some pages that is the proper end, for the others it is too early.
    void end_of_input() {
        if (finished()) return;
        if (next_ != &HttpReader::read_to_the_end)
            throw std::runtime_error("the page ends too early: after " +
                                     std::to_string(page_.body.size()) + " bytes");
        next_ = nullptr;
    }

    bool finished() const { return next_ == nullptr; }
    Page take() { return std::move(page_); }

private:
    // Each of these reads what is next in the answer, and says whether there may be more. False: it
    // needs more bytes first.

    bool read_head() {
        const auto text = http_head_text(input_);
        if (heads_ + (text ? *text : input_).size() > longest_head)
            garbage("a head without an end");
        if (!text) return false;
        const auto head = http_head_from(*text);
        input_.erase(0, text->size());
        heads_ = head.status < 200 ? heads_ + text->size() : 0;
        if (head.status < 200) return true; // "Go on" and the like: the answer comes behind it.
        page_.status = head.status;
        if (head.status == 204 || head.status == 304)
            next_ = nullptr; // These never have a page, whatever their head says of one.
        else if (head.chunked)
            next_ = &HttpReader::read_chunk_size; // Also where a length is said: RFC 9112, 6.3
        else
            next_ = head.length ? &HttpReader::read_counted : &HttpReader::read_to_the_end;
        if (next_ == &HttpReader::read_counted) left_ = *head.length;
        refuse_above_most(left_);
        return true;
    }

    bool read_counted() {
        move_to_body(left_);
        if (left_ == 0) next_ = nullptr;
        return false;
    }

    bool read_to_the_end() {
        refuse_above_most(input_.size());
        move_to_body(input_.size());
        return false;
    }

    // "1a3;whatever", then so many bytes and a line end; a chunk of 0 bytes is the last.
    bool read_chunk_size() {
        const auto line = next_line();
        if (!line) return false;
        const auto* const line_end = line->data() + line->size();
        const auto [end, error] = std::from_chars(line->data(), line_end, left_, 16);
        const auto behind = without_spaces({end, line_end});
        if (error != std::errc() || !(behind.empty() || behind.starts_with(';')))
            garbage("a chunk without a size");
        refuse_above_most(left_);
        next_ = left_ > 0 ? &HttpReader::read_chunk : &HttpReader::read_trailer;
        return true;
    }

    bool read_chunk() {
        move_to_body(left_);
        if (left_ == 0) next_ = &HttpReader::read_chunk_end;
        return left_ == 0;
    }

    bool read_chunk_end() {
        const auto line = next_line();
        if (line && !line->empty()) garbage("a chunk is longer than it says");
        if (line) next_ = &HttpReader::read_chunk_size;
        return line.has_value();
    }

    // Headers may come behind the last chunk, too. They are nothing to us.
    bool read_trailer() {
        const auto line = next_line(longest_head);
        if (line && line->empty()) next_ = nullptr;
        if (line && (heads_ += line->size()) > longest_head) garbage("trailers without an end");
        return line.has_value();
    }

    [[noreturn]] static void garbage(const std::string& what) {
        throw std::runtime_error("this is not HTTP: " + what);
    }

    std::optional<std::string> next_line(std::size_t longest = longest_line) {
        const auto end = input_.find('\n');
        if (std::min(end, input_.size()) > longest) garbage("a line without an end");
        if (end == std::string::npos) return std::nullopt;
        std::string text = input_.substr(0, end);
        input_.erase(0, end + 1);
        if (text.ends_with('\r')) text.pop_back();
        return text;
    }

    void move_to_body(std::uint64_t count) {
        const auto here = static_cast<std::size_t>(std::min<std::uint64_t>(count, input_.size()));
        page_.body.append(input_, 0, here);
        input_.erase(0, here);
        left_ -= std::min<std::uint64_t>(left_, here);
    }

    void refuse_above_most(std::uint64_t more) const {
        if (more > most_ || page_.body.size() > most_ - more)
            throw std::runtime_error("the page is larger than " + std::to_string(most_) + " bytes");
    }

    const std::uint64_t most_;
    Page page_;
    std::string input_;
    std::uint64_t left_ = 0; // of the page, or of the chunk
    std::size_t heads_ = 0;  // bytes of heads before the last one, then of trailers
    bool (HttpReader::*next_)() = &HttpReader::read_head;
};
