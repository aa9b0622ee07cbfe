#include "story.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

namespace {

constexpr std::size_t kept_first = 12;
constexpr std::size_t kept_last = 48;
constexpr std::size_t widest = 44; // a longer step pushes its remark to the right

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

std::string escaped(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        if (byte == '\n')
            text += "\\n";
        else if (byte == '\r')
            text += "\\r";
        else if (byte == '\t')
            text += "\\t";
        else if (byte == '"' || byte == '\\')
            text += {'\\', byte};
        else if (byte >= ' ' && byte <= '~')
            text += byte;
        else {
            std::array<char, 5> hex{};
            std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned char>(byte));
            text += hex.data();
        }
    }
    return text;
}

// The row as a hex dump has it, with dots for what does not print:
// "6c 65 68 0a    | leh.", its hex part as wide as that of `columns` bytes
std::string hex_row(std::string_view bytes, std::size_t columns) {
    std::string hex;
    std::string text;
    for (const char byte : bytes) {
        std::array<char, 4> pair{};
        std::snprintf(pair.data(), pair.size(), "%02x ", static_cast<unsigned char>(byte));
        hex += pair.data();
        text += byte >= ' ' && byte <= '~' ? byte : '.';
    }
    return padded(hex, columns * 3) + "   | " + text;
}

} // namespace

void Story::tell(const std::string& who, std::string what, std::string remark) {
    Step step{now(), '[' + who + ']', std::move(what), std::move(remark)};
    const std::lock_guard lock(mutex_);
    if (first_.size() < kept_first) {
        first_.push_back(std::move(step));
        return;
    }
    last_.push_back(std::move(step));
    if (last_.size() <= kept_last) return;
    last_.pop_front();
    ++forgotten_;
}

std::string Story::line(const Step& step, std::size_t who_width, std::size_t what_width) {
    std::array<char, 32> time{};
    std::snprintf(time.data(), time.size(), "  t=%.3f  ", step.at);
    std::string text = time.data() + padded(step.who, who_width) + "  ";
    text += step.remark.empty() ? step.what : padded(step.what, what_width) + "  " + step.remark;
    return text + '\n';
}

std::string Story::so_far() const {
    const std::lock_guard lock(mutex_);
    std::size_t who = 0;
    std::size_t what = 0;
    const auto measure = [&](const Step& step) {
        who = std::max(who, step.who.size());
        if (step.what.size() <= widest) what = std::max(what, step.what.size());
    };
    std::for_each(first_.begin(), first_.end(), measure);
    std::for_each(last_.begin(), last_.end(), measure);

    std::string text;
    for (const Step& step : first_)
        text += line(step, who, what);
    if (forgotten_ > 0) text += "  ... " + counted(forgotten_, "step") + " not shown ...\n";
    for (const Step& step : last_)
        text += line(step, who, what);
    return text;
}

std::string in_quotes(std::string_view bytes) {
    constexpr std::size_t longest = 40;
    if (bytes.size() <= longest) return '"' + escaped(bytes) + '"';
    return '"' + escaped(bytes.substr(0, 24)) + "\"...\"" +
           escaped(bytes.substr(bytes.size() - 8)) + '"';
}

std::string counted(std::size_t count, const std::string& noun, const std::string& nouns) {
    std::string number = std::to_string(count);
    for (std::size_t at = number.size(); at > 3; at -= 3)
        number.insert(at - 3, ",");
    if (count == 1) return number + ' ' + noun;
    return number + ' ' + (nouns.empty() ? noun + 's' : nouns);
}

std::string spelled(Seconds time) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f s", time.count());
    return text.data();
}

std::string hex_rows(std::string_view got, std::string_view want) {
    constexpr std::size_t width = 16;
    const auto [left, right] = std::mismatch(got.begin(), got.end(), want.begin(), want.end());
    const auto wrong = static_cast<std::size_t>(left - got.begin());
    const std::size_t row = wrong / width * width;
    const std::string_view got_row = got.substr(std::min(row, got.size()), width);
    const std::string_view want_row = want.substr(std::min(row, want.size()), width);
    const std::size_t columns = std::max(got_row.size(), want_row.size());
    const std::string margin = "             ";
    return margin + "got   " + hex_row(got_row, columns) + '\n' + margin + "want  " +
           hex_row(want_row, columns) + '\n' + margin + "      " +
           std::string((wrong - row) * 3, ' ') + "^^ first difference at byte " +
           std::to_string(wrong) + '\n';
}
