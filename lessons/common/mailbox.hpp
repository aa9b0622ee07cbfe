// Given: what others said, kept until the caller can be told. It is bounded: a caller who does not
// read misses lines, and is told how many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

class Mailbox {
public:
    static constexpr std::size_t limit = 16 * 1024;

    // After a line that did not fit, shorter ones are missed too: those that are told come before
    // those that are missed, so one number says it all.
    void put(std::string_view line) {
        if (missed_ > 0 || lines_.size() + line.size() + 1 > limit)
            ++missed_;
        else
            lines_.append(line) += '\n';
    }

    // Every line in it, and how many were missed after them. It is empty then.
    std::string take() {
        if (missed_ > 0) lines_ += "missed " + std::to_string(missed_) + '\n';
        missed_ = 0;
        return std::exchange(lines_, {});
    }

private:
    std::string lines_;
    std::uint64_t missed_ = 0;
};
