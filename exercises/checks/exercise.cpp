#include "exercise.hpp"

#include "verdict.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace {

std::string trimmed(const std::string& text) {
    const char* const blanks = " \t\r";
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

[[noreturn]] void give_up(Outcome outcome, const std::string& sentence) {
    const std::string code = code_of(outcome);
    throw Unexpected(outcome, code, sentence, sentence + "  (" + code + ")\n");
}

// The answer behind `question:`, without blanks around it.
std::string written_answer(const std::string& question) {
    std::ifstream page(file_under_test());
    if (!page) throw std::runtime_error("cannot read " + file_under_test());
    for (std::string line; std::getline(page, line);)
        if (line.starts_with(question + ':')) return trimmed(line.substr(question.size() + 1));
    give_up(Outcome::unanswered, "the page has no line that begins with \"" + question + ":\"");
}

} // namespace

const std::string& file_under_test() {
    return request().file;
}

// More than this no small server has to say.
constexpr std::size_t most_output = 16 << 20;

Server start(const std::vector<std::string>& arguments, ServerOptions options) {
    std::vector<std::string> command = {file_under_test()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    options.most_output = most_output;
    options.within = std::min<Seconds>(options.within, std::chrono::seconds(2));
    return Server(std::move(command), options);
}

Server start(const ServerOptions& options) {
    return start({}, options);
}

Server start_program(const std::vector<std::string>& arguments) {
    return start(arguments, {.ready = Ready::at_once});
}

void wait_until_asleep(const Server& server) {
    const Deadline deadline = scaled(usual);
    const auto sleeps = [](const Thread& thread) {
        return thread.state == 'S' || thread.state == 'Z';
    };
    while (!deadline.passed()) {
        const std::vector<Thread> threads = threads_of(server.pid());
        if (std::all_of(threads.begin(), threads.end(), sleeps)) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // between two looks
    }
}

void expect_rest(Server& server) {
    const auto began = Clock::now();
    const Seconds before = server.eager_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(400)); // over which it is measured
    const double share = (server.eager_time() - before) / (Clock::now() - began);
    if (share < 0.4) return;
    server.fail(Outcome::cpu_spin, "the server has nothing to do, and wants " +
                                       std::to_string(std::lround(share * 100)) +
                                       " % of a processor for it");
}

std::size_t unread_bytes(const Server& server, const Caller& caller) {
    for (const TcpRow& row : tcp_rows())
        if (row.local_port == server.port() && row.remote_port == caller.local_port())
            return row.unread;
    return 0;
}

Guess::Guess(const std::string& question, std::initializer_list<std::string> choices)
    : question_(question), answer_(written_answer(question)) {
    if (std::find(choices.begin(), choices.end(), answer_) != choices.end()) return;
    std::string known;
    for (const std::string& choice : choices)
        known += (known.empty() ? "" : ", or ") + choice;
    give_up(Outcome::unanswered,
            answer_.empty() ? known + '?' : '"' + answer_ + "\" is no answer; write " + known);
}

void Guess::meets(const std::string& seen, Server& server) const {
    if (answer_ == seen) return;
    server.fail(Outcome::wrong_answer, "you wrote \"" + question_ + ": " + answer_ +
                                           "\", and the server does something else");
}
