// Given: the options that every lesson's final server takes.
#pragma once

#include "number.hpp"

#include <getopt.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

struct Options {
    in_port_t port = 0;
    std::string host = "127.0.0.1";
    std::string service = "hotline";
    std::chrono::duration<double> idle_timeout{0}; // 0: a caller may take for ever.
    int max_clients = 0;                           // 0: as many as the model bears.
};

inline constexpr std::string_view usage =
    "  --port N                 the port to listen on; 0, the default: any that is free\n"
    "  --host ADDRESS           the IPv4 address to listen on (default: 127.0.0.1)\n"
    "  --service NAME           hotline, the default, or echo: every byte comes back\n"
    "  --idle-timeout SECONDS   how long a caller may take for one request, or for one piece of\n"
    "                           an answer; 0, the default: for ever\n"
    "  --max-clients N          how many callers to serve at once; 0, the default: as many as\n"
    "                           this server can\n"
    "  --help                   this text\n";

inline constexpr std::array<option, 7> known_options{{
    {"port", required_argument, nullptr, 'p'},
    {"host", required_argument, nullptr, 'h'},
    {"service", required_argument, nullptr, 's'},
    {"idle-timeout", required_argument, nullptr, 'i'},
    {"max-clients", required_argument, nullptr, 'm'},
    {"help", no_argument, nullptr, 'H'},
    {nullptr, 0, nullptr, 0},
}};

// An option that one lesson's server has beside those: its values (none: any text will do), and the one
// that it has if nothing else is said.
struct OwnOption {
    const char* name;
    std::string usage;
    std::vector<std::string> values;
    std::string value;
};
inline std::string own_usage; // of those options, behind the others'

// Ends the program as a wrong command line does: what would be right, status 2.
[[noreturn]] inline void refuse(const char* program) {
    std::cerr << "usage: " << program << " [options]\n" << usage << own_usage;
    std::exit(2);
}
[[noreturn]] inline void refuse(const char* program, const std::string& what) {
    std::cerr << program << ": " << what << '\n';
    refuse(program);
}

// The value of an option as a number. Or we refuse.
template <typename Number>
Number number_from(const char* program, const char* name, std::string_view text, Number lowest,
                   Number highest) {
    if (const auto number = number_in(text, lowest, highest)) return *number;
    refuse(program, not_a_number("--" + std::string(name), text, lowest, highest));
}

// The values of own options stand behind all letters.
constexpr int first_own = 256;

inline std::vector<option> options_with(const std::vector<OwnOption*>& own) {
    std::vector<option> known;
    for (const OwnOption* option : own) {
        const int value = first_own + static_cast<int>(known.size());
        known.push_back({option->name, required_argument, nullptr, value});
        own_usage += option->usage;
    }
    known.insert(known.end(), known_options.begin(), known_options.end());
    return known;
}

inline std::string own_value(const char* program, const OwnOption& own, const std::string& value) {
    if (own.values.empty() || std::ranges::find(own.values, value) != own.values.end())
        return value;
    std::string values;
    for (const std::string& possible : own.values)
        values += (values.empty() ? "" : ", ") + possible;
    refuse(program,
           "--" + std::string(own.name) + " is one of " + values + ", not \"" + value + '"');
}

// Reads the command line. Ends the program itself for --help (status 0; 1 where the text cannot be
// written) and for a wrong option.
inline Options options_from(int argc, char** argv, const std::vector<OwnOption*>& own = {}) {
    const char* program = argv[0];
    Options options;
    const auto known = options_with(own);
    while (true) {
        const int letter = getopt_long(argc, argv, "", known.data(), nullptr);
        switch (letter) {
        case 'p':
            options.port = number_from<in_port_t>(program, "port", optarg, 0, 65535);
            break;
        case 'h':
            options.host = optarg;
            break;
        case 's':
            options.service = optarg;
            if (options.service != "hotline" && options.service != "echo")
                refuse(program, "--service is hotline or echo, not \"" + options.service + '"');
            break;
        case 'i':
            options.idle_timeout = std::chrono::duration<double>(
                number_from<double>(program, "idle-timeout", optarg, 0, 86400));
            break;
        case 'm':
            options.max_clients = number_from<int>(program, "max-clients", optarg, 0, 1'000'000);
            break;
        case 'H':
            std::cout << "usage: " << program << " [options]\n" << usage << own_usage << std::flush;
            std::exit(std::cout ? EXIT_SUCCESS : EXIT_FAILURE);
        case -1:
            if (optind == argc) return options;
            refuse(program, "takes options only, not \"" + std::string(argv[optind]) + '"');
        default:
            if (letter < first_own) refuse(program); // getopt_long has said what is wrong.
            OwnOption& option = *own[static_cast<std::size_t>(letter - first_own)];
            option.value = own_value(program, option, optarg);
        }
    }
}
