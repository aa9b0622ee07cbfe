// How a failure of a server is told: its cause, the steps, what is seen from outside, its log.
#include "caller.hpp"
#include "evidence.hpp"
#include "server.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

namespace {

// The last lines of a log, each behind a bar.
std::string tail(const std::string& log) {
    constexpr std::size_t most = 30;
    std::size_t from = log.size();
    if (from > 0 && log.back() == '\n') --from;
    for (std::size_t lines = 0; from > 0 && (log[from - 1] != '\n' || ++lines < most);)
        --from;
    std::string text;
    for (std::size_t at = from; at < log.size();) {
        const std::size_t end = std::min(log.find('\n', at), log.size());
        text += "    | " + log.substr(at, end - at) + '\n';
        at = end + 1;
    }
    return text;
}

// Breaks a sentence into lines of at most 100 characters.
std::string wrapped(const std::string& sentence) {
    constexpr std::size_t longest = 96;
    std::string text;
    std::string_view rest = sentence;
    while (rest.size() > longest) {
        const std::size_t space = rest.rfind(' ', longest);
        if (space == std::string_view::npos) break;
        text += "    " + std::string(rest.substr(0, space)) + '\n';
        rest.remove_prefix(space + 1);
    }
    return text + "    " + std::string(rest) + '\n';
}

// Failures that leave the question why: there the server is looked at before it is killed.
bool asks_why(Outcome outcome) {
    static const std::set<Outcome> questions = {
        Outcome::timeout_none,  Outcome::timeout_partial, Outcome::no_eof,   Outcome::send_blocked,
        Outcome::refused,       Outcome::ignores_sigterm, Outcome::leak_fds, Outcome::leak_threads,
        Outcome::leak_children, Outcome::leak_zombies,    Outcome::cpu_spin, Outcome::too_slow,
        Outcome::check_timeout,
    };
    return questions.contains(outcome);
}

} // namespace

void Server::throw_told(Outcome outcome, const std::string& sentence, const std::string& shown,
                        const std::string& why) {
    const std::optional<int> end = ended();
    const int signal = end && WIFSIGNALED(*end) ? WTERMSIG(*end) : 0;
    const std::string code = code_of(outcome, signal);
    std::string told = sentence + "  (" + code + ")\n\n" + story_.so_far();
    if (!shown.empty()) told += '\n' + shown;
    if (!why.empty()) {
        std::array<char, 64> line{};
        std::snprintf(line.data(), line.size(), "\n  Why (seen from outside, at t=%.3f):\n",
                      story_.now());
        told += line.data() + why;
    }
    const std::string log = output_ ? output_->log() : "";
    if (!log.empty()) told += "\n  The server's standard error ends:\n" + tail(log);
    throw Unexpected(outcome, code, sentence, told);
}

void Server::fail_for_output(const std::string& remark) {
    throw_told(Outcome::limit_output,
               "the server prints without end: " + counted(output_->written(), "byte") +
                   " on its standard output and error" + remark,
               "", "");
}

void Server::fail(Outcome outcome, const std::string& sentence, const std::string& shown,
                  const Caller* asking) {
    if (hold()) hold()(*this, "");
    // The kernel closes a dying process's sockets before it can be waited for: give it a moment.
    if (outcome == Outcome::eof_early || outcome == Outcome::reset || outcome == Outcome::refused)
        wait_ended(scaled(std::chrono::milliseconds(300)));
    const std::optional<int> end = ended();
    if (end) output_->stop();
    if (const auto report = output_->report(); report && !report_is_asked_for_) {
        report_is_told_ = end_is_told_ = true;
        throw_told(report->outcome, "a sanitizer reports: " + report->line + "; and " + sentence,
                   shown, "");
    }
    if (output_->written() > most_output_) fail_for_output("; and " + sentence);
    const bool as_asked = end_is_asked_for_ || (told_to_stop_ && end && !is_crash(*end));
    if (end && !as_asked) {
        end_is_told_ = true;
        throw_told(is_crash(*end) ? Outcome::crash : Outcome::exited,
                   "the server " + spelled_end(*end) + "; " + sentence, shown, "");
    }
    std::string why;
    if (!end && asks_why(outcome)) {
        const Evidence evidence =
            look({pid_, port_, known_callers(), asking != nullptr ? asking->name() : "",
                  asking == nullptr || asking->is_reading()});
        for (const std::string& line : explain(evidence))
            why += wrapped(line);
        if (why.empty()) why = "    I can't tell. This is what /proc shows:\n" + table(evidence);
    }
    throw_told(outcome, sentence, shown, why);
}
