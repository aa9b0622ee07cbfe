// The main function of tests that start servers. Beside doctest's own options it takes
// --programs=FOLDER, where the step programs are, and --one-step-back.
#define DOCTEST_CONFIG_IMPLEMENT
#include "step.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <string_view>

int main(int argc, char** argv) {
    // A server that hangs up while we send is an answer to judge, not the end of the test.
    std::signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const std::string_view programs = "--programs=";
        if (argument.starts_with(programs)) steps().folder = argument.substr(programs.size());
        if (argument == "--one-step-back") steps().one_step_back = true;
    }
    return doctest::Context(argc, argv).run();
}
