// The command line of the file server.
#pragma once

#include "number.hpp"
#include "readiness.hpp"

#include <getopt.h>
#include <netinet/in.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

struct FileOptions {
    std::string folder = ".";
    std::string host = "127.0.0.1";
    in_port_t port = 0;
    Seconds idle_timeout{15};
    int max_clients = 256;
};

inline constexpr std::string_view file_usage =
    "  --folder PATH            the folder to serve (default: the current one)\n"
    "  --host ADDRESS           the IPv4 address to listen on (default: 127.0.0.1)\n"
    "  --port N                 the port to listen on; 0, the default: any that is free\n"
    "  --idle-timeout SECONDS   how long a caller may take for one request, or for one piece of\n"
    "                           an answer (default: 15)\n"
    "  --max-clients N          how many callers to serve at once (default: 256)\n"
    "  --help                   this text\n";

// Ends the program as a wrong command line does: what would be right, status 2.
[[noreturn]] inline void refuse(const char* program, const std::string& what = "") {
    if (!what.empty()) std::cerr << program << ": " << what << '\n';
    std::cerr << "usage: " << program << " [options]\n" << file_usage;
    std::exit(2);
}

// The value of an option as a number. Or we refuse.
template <typename Number>
Number number_from(const char* program, const std::string& name, std::string_view text,
                   Number lowest, Number highest) {
    if (const auto number = number_in(text, lowest, highest)) return *number;
    refuse(program, not_a_number("--" + name, text, lowest, highest));
}

inline FileOptions file_options_from(int argc, char** argv) {
    constexpr std::array<option, 7> known{{
        {"folder", required_argument, nullptr, 'f'},
        {"host", required_argument, nullptr, 'h'},
        {"port", required_argument, nullptr, 'p'},
        {"idle-timeout", required_argument, nullptr, 'i'},
        {"max-clients", required_argument, nullptr, 'm'},
        {"help", no_argument, nullptr, 'H'},
        {nullptr, 0, nullptr, 0},
    }};
    FileOptions options;
    while (true) {
        switch (getopt_long(argc, argv, "", known.data(), nullptr)) {
        case 'f':
            options.folder = optarg;
            break;
        case 'h':
            options.host = optarg;
            break;
        case 'p':
            options.port = number_from<in_port_t>(argv[0], "port", optarg, 0, 65535);
            break;
        case 'i':
            options.idle_timeout =
                Seconds(number_from<double>(argv[0], "idle-timeout", optarg, 0.01, 86400));
            break;
        case 'm':
            options.max_clients = number_from<int>(argv[0], "max-clients", optarg, 1, 10'000);
            break;
        case 'H':
            std::cout << "usage: " << argv[0] << " [options]\n" << file_usage << std::flush;
            std::exit(std::cout ? EXIT_SUCCESS : EXIT_FAILURE);
        case -1:
            if (optind == argc) return options;
            refuse(argv[0], "takes options only, not \"" + std::string(argv[optind]) + '"');
        default:
            refuse(argv[0]); // getopt_long has said what is wrong.
        }
    }
}
