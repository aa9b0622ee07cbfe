// The bytes that callers say. Everybody says the same endless text, each from another place in it,
// so an answer is known byte by byte, and whoever gets another's answer sees it at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

class Pattern {
public:
    // A prime number: a server that loses or repeats a buffer of any usual size does not meet the
    // same text again.
    static constexpr std::size_t period = 65'521;
    static constexpr std::size_t longest = 64 * 1024; // What can be had in one piece.

    Pattern() {
        std::minstd_rand dice; // No seed: the same text in every run.
        while (text_.size() < period)
            text_ += static_cast<char>(dice() >> 8U);
        while (text_.size() < period + longest)
            text_.append(text_, 0, period);
    }

    std::string_view at(std::uint64_t position, std::size_t length) const {
        return std::string_view(text_).substr(position % period, length);
    }

private:
    std::string text_;
};
