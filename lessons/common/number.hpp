// Earned in lesson 01, step 4: a number from the command line, and above all a port.
#pragma once

#include <netinet/in.h>

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

// `text` as a plain decimal number from `lowest` to `highest`, the whole of it; or nothing.
template <typename Number>
std::optional<Number> number_in(std::string_view text, Number lowest, Number highest) {
    Number number{};
    std::from_chars_result read{};
    if constexpr (std::is_floating_point_v<Number>)
        read = std::from_chars(text.begin(), text.end(), number, std::chars_format::fixed);
    else
        read = std::from_chars(text.begin(), text.end(), number);
    if (read.ec != std::errc{} || read.ptr != text.end()) return {};

    // Asked this way round, "nan" is refused too: it is neither smaller nor larger.
    if (number >= lowest && number <= highest) return number;
    return {};
}

// What is wrong with `text`, as one sentence.
template <typename Number>
std::string not_a_number(std::string_view name, std::string_view text, Number lowest,
                         Number highest) {
    std::ostringstream sentence;
    sentence << name << " is a number from " << lowest << " to " << highest << ", not \"" << text
             << '"';
    return sentence.str();
}

// Ends the program as a wrong command line does: what is wrong, then what would be right; status 2.
[[noreturn]] inline void refuse_arguments(const char* program, const char* arguments,
                                          std::string_view what) {
    std::cerr << program << ": " << what << "\nusage: " << program << ' ' << arguments << '\n';
    std::exit(2);
}

// The argument `text` as such a number. Or we refuse.
template <typename Number>
Number argument_from(const char* program, const char* arguments, std::string_view name,
                     std::string_view text, Number lowest, Number highest) {
    if (const auto number = number_in(text, lowest, highest)) return *number;
    refuse_arguments(program, arguments, not_a_number(name, text, lowest, highest));
}

// The port to listen on: the first argument, or 0, any that is free, where there is none. 70000 is
// refused: cut to the 16 bits that a port has it would be 4464, and nobody would look there.
inline in_port_t port_from(int argc, char** argv, const char* arguments = "[PORT]") {
    if (argc < 2) return 0;
    return argument_from<in_port_t>(argv[0], arguments, "the port", argv[1], 0, 65535);
}
