#include "outcome.hpp"

#include <array>
#include <cstring>

std::string signal_name(int signal) {
    const char* const name = sigabbrev_np(signal);
    return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

std::string code_of(Outcome outcome, int signal) {
    // In the order of the enumeration.
    static constexpr std::array<const char*, static_cast<std::size_t>(Outcome::harness) + 1> codes =
        {"pass",
         "skipped",
         "no_listen",
         "exited_early",
         "refused",
         "crash",
         "exited",
         "reset",
         "eof:early",
         "no_eof",
         "timeout:none",
         "timeout:partial",
         "send_blocked",
         "wrong_bytes",
         "extra_bytes",
         "leak:fds",
         "leak:threads",
         "leak:children",
         "leak:zombies",
         "cpu_spin",
         "ignores_sigterm",
         "bad_exit",
         "port_not_reusable",
         "sanitizer:data-race",
         "sanitizer:heap",
         "sanitizer:leak",
         "sanitizer:ub",
         "too_slow",
         "check_timeout",
         "limit:processes",
         "limit:memory",
         "limit:output",
         "unanswered",
         "wrong_answer",
         "harness"};
    const std::string code = codes.at(static_cast<std::size_t>(outcome));
    return outcome == Outcome::crash ? code + ':' + signal_name(signal) : code;
}
