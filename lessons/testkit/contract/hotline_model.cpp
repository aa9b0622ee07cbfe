#include "hotline_model.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <stdexcept>

std::string checksum(std::string_view bytes) {
    std::uint32_t low = 1;
    std::uint32_t high = 0;
    for (const char byte : bytes) {
        low = (low + static_cast<unsigned char>(byte)) % 65'521;
        high = (high + low) % 65'521;
    }
    std::array<char, 16> digits{};
    std::snprintf(digits.data(), digits.size(), "%04x%04x", high, low);
    return digits.data();
}

namespace {

// A number as it may stand behind a verb; at most ten digits, so it fits.
std::optional<std::size_t> number_in(std::string_view text, std::size_t most) {
    const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return std::nullopt;
    const std::size_t zeros = std::min(text.find_first_not_of('0'), text.size() - 1);
    text.remove_prefix(zeros);
    if (text.size() > 10) return std::nullopt;
    const std::size_t value = std::stoul(std::string(text));
    return value <= most ? std::optional(value) : std::nullopt;
}

std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<char>('a' + i % 23);
    return bytes;
}

std::string lowered(std::string_view text) {
    std::string lower(text);
    for (char& letter : lower)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
    return lower;
}

std::string uppered(std::string_view text) {
    std::string upper(text);
    for (char& letter : upper)
        if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 32);
    return upper;
}

// The request that `line` is, without the two that say more than a line: `exit` and `sink`.
std::string answer_to(std::string_view line) {
    constexpr std::size_t largest = 1'000'000'000;
    std::string again = "Do it again\n";
    const auto behind = [&](std::string_view verb) -> std::optional<std::string_view> {
        if (line == verb) return "";
        if (line.starts_with(std::string(verb) + ' ')) return line.substr(verb.size() + 1);
        return std::nullopt;
    };
    for (const char* const unknowable : {"count", "time", "who", "crash"})
        if (line == unknowable) throw std::logic_error(std::string("nobody knows: ") + unknowable);
    if (line == "0") return "0000\n";
    if (const auto text = behind("echo")) return std::string(*text) + '\n';
    if (const auto text = behind("upper")) return uppered(*text) + '\n';
    if (behind("say")) return "said\n";
    if (const auto text = behind("sleep")) return number_in(*text, 60'000) ? "ok\n" : again;
    if (const auto text = behind("big")) {
        const auto size = number_in(*text, largest);
        return size ? pattern(*size) + "\nsum " + checksum(pattern(*size)) + '\n' : again;
    }
    return again;
}

} // namespace

std::string answers_to(std::string_view said) {
    constexpr std::size_t largest = 1'000'000'000;
    constexpr std::size_t longest = 1024;
    std::string answers;
    while (!said.empty()) {
        const std::size_t newline = said.find('\n');
        std::string_view line = said.substr(0, newline);
        said.remove_prefix(std::min(line.size() + 1, said.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.size() > longest) return answers + "Line too long\n";
        if (lowered(line) == "exit") return answers;
        const auto size = line.starts_with("sink ") ? number_in(line.substr(5), largest)
                                                    : std::optional<std::size_t>();
        if (!size) {
            answers += answer_to(line);
            continue;
        }
        if (said.size() < *size) return answers; // the rest never comes
        answers += "sunk " + std::to_string(*size) + ' ' + checksum(said.substr(0, *size)) + '\n';
        said.remove_prefix(*size);
    }
    return answers;
}
