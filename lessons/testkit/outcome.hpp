// How a test ended: a closed list of codes, and the exception that carries one with its story.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

enum class Outcome {
    pass,
    skipped,
    no_listen,
    exited_early,
    refused,
    crash, // its code names the signal: crash:SIGSEGV
    exited,
    reset,
    eof_early,
    no_eof,
    timeout_none,
    timeout_partial,
    send_blocked,
    wrong_bytes,
    extra_bytes,
    leak_fds,
    leak_threads,
    leak_children,
    leak_zombies,
    cpu_spin,
    ignores_sigterm,
    bad_exit,
    port_not_reusable,
    sanitizer_data_race,
    sanitizer_heap,
    sanitizer_leak,
    sanitizer_ub,
    too_slow,
    check_timeout,
    limit_processes, // it took more of the machine than a small server may
    limit_memory,
    limit_output,
    unanswered, // of a question to the learner, who has not answered it
    wrong_answer,
    harness, // the test's own fault or the machine's, never the server's
};

// "eof:early", "leak:fds"; for a crash, `signal` says of what: "crash:SIGPIPE".
std::string code_of(Outcome outcome, int signal = 0);

// "SIGPIPE"
std::string signal_name(int signal);

// A broken expectation. what() is the told story; its first line is the sentence with the code.
class Unexpected : public std::runtime_error {
public:
    Unexpected(Outcome outcome, std::string code, std::string sentence, const std::string& told)
        : std::runtime_error(told), outcome_(outcome), code_(std::move(code)),
          sentence_(std::move(sentence)) {}

    Outcome outcome() const { return outcome_; }
    const std::string& code() const { return code_; }
    const std::string& sentence() const { return sentence_; }

private:
    Outcome outcome_;
    std::string code_;
    std::string sentence_;
};
