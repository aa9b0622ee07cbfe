// The main function of an exercise's checks: CHECKS [OPTION ...] FILE
//
//     --check=NAME           this one alone (else all)
//     --list                 what checks there are, and no more
//     --json                 one line of JSON for each check
//     --programs=FOLDER      where a lesson's programs are, for a check that calls step(4)
//     --seconds=N            for one check
//     --sanitized            the program was built with a sanitizer
//     --hold-before=NAME     stop before this caller connects, until standard input has a line
//     --hold-at-failure      stop when an expectation breaks, while the server still runs
#include "caller.hpp"
#include "guard.hpp"
#include "step.hpp"
#include "timeout_scale.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>

Request& request() {
    static Request the_request;
    return the_request;
}

namespace {

void understand(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : word.substr(equals + 1));
    Request& asked = request();
    if (name == "--check")
        asked.check = value;
    else if (name == "--list")
        asked.list = true;
    else if (name == "--json")
        asked.as_json = true;
    else if (name == "--programs")
        steps().folder = std::filesystem::absolute(value);
    else if (name == "--seconds")
        asked.seconds = std::atof(value.c_str());
    else if (name == "--sanitized")
        asked.sanitized = true;
    else if (name == "--hold-before")
        asked.hold_before = "caller " + value;
    else if (name == "--hold-at-failure")
        asked.hold_at_failure = true;
    else
        asked.file = std::filesystem::absolute(word);
}

// Says where the run stands, and waits for a line or the end of the input. It happens once.
void hold_on(Server& server, const std::string& caller) {
    const Request& asked = request();
    const bool wanted = caller.empty() ? asked.hold_at_failure : caller == asked.hold_before;
    static bool held = false;
    if (!wanted || std::exchange(held, true)) return;
    std::cout << R"({"held": )" << in_json(caller) << R"(, "port": )" << server.port()
              << R"(, "pid": )" << server.pid() << R"(, "story": )"
              << in_json(server.story().so_far()) << "}" << std::endl;
    std::string line;
    std::getline(std::cin, line);
}

void show(const std::string& check, const Verdict& verdict) {
    if (request().as_json)
        std::cout << in_json(check, verdict) << std::endl;
    else if (verdict.code == "pass")
        std::cout << "ok    " << check << std::endl;
    else
        std::cout << "FAIL  " << check << ": "
                  << (verdict.story.empty() ? verdict.sentence : verdict.story) << std::endl;
}

} // namespace

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    assume_usual_machine();
    for (int i = 1; i < argc; ++i)
        understand(argv[i]);
    if (request().list) {
        for (const std::string& check : checks())
            std::cout << check << '\n';
        return EXIT_SUCCESS;
    }
    if (request().file.empty()) {
        std::cerr << argv[0] << ": say which program to judge\n";
        return 2;
    }
    usual = std::chrono::seconds(2);
    if (!request().hold_before.empty() || request().hold_at_failure) hold() = hold_on;
    bool all_pass = true;
    for (const std::string& check : checks()) {
        if (!request().check.empty() && request().check != check) continue;
        const Verdict verdict = run_guarded(check);
        show(check, verdict);
        all_pass = all_pass && verdict.code == "pass";
    }
    return all_pass ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return EXIT_FAILURE;
}
