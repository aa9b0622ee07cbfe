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
        if ((text ? *text : input_).size() > longest_head) garbage("a head without an end");
        if (!text) return false;
        const auto head = http_head_from(*text);
        input_.erase(0, text->size());
        if (head.status < 200) return true; // "Go on" and the like: the answer comes behind it.
        page_.status = head.status;
        left_ = head.length.value_or(0);
        refuse_above_most(left_);
        if (head.status == 204 || head.status == 304)
            next_ = nullptr; // These never have a page.
        else if (head.chunked)
            next_ = &HttpReader::read_chunk_size;
        else
            next_ = head.length ? &HttpReader::read_counted : &HttpReader::read_to_the_end;
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
        const auto [end, error] =
            std::from_chars(line->data(), line->data() + line->size(), left_, 16);
        const bool ends_well = end == line->data() + line->size() || *end == ';' || *end == ' ';
        if (error != std::errc() || !ends_well) garbage("a chunk without a size");
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
        const auto line = next_line();
        if (line && line->empty()) next_ = nullptr;
        if (line && (trailers_ += line->size()) > longest_head) garbage("trailers without an end");
        return line.has_value();
    }

    [[noreturn]] static void garbage(const std::string& what) {
        throw std::runtime_error("this is not HTTP: " + what);
    }

    std::optional<std::string> next_line() {
        const auto line = first_line(input_, false);
        if (!line) return std::nullopt;
        if (line->text.size() > longest_line) garbage("a line without an end");
        std::string text(line->text);
        input_.erase(0, line->size);
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
    std::size_t trailers_ = 0;
    bool (HttpReader::*next_)() = &HttpReader::read_head;
};
