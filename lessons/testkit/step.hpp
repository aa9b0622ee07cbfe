// The step programs of a lesson, by number: `Server server = step(4);` starts the program 4_... in
// the folder that the test was given (--programs=FOLDER). With --one-step-back it starts the step
// before: a proof of step 4 must then fail.
#pragma once

#include "caller.hpp"
#include "server.hpp"

#include <filesystem>
#include <string>

// Where the step programs are, and whether each is replaced by the one before. main() sets them.
struct Steps {
    std::filesystem::path folder;
    bool one_step_back = false;
};
Steps& steps();

// The program of a step. Throws Unexpected: `harness` when there is none, or several; `skipped` for
// step 1 with --one-step-back.
std::filesystem::path program_of_step(int number);

inline Server step(int number, const ServerOptions& options = {}) {
    return Server({program_of_step(number)}, options);
}

inline Server step(int number, const std::vector<std::string>& arguments,
                   const ServerOptions& options = {}) {
    std::vector<std::string> command = {program_of_step(number)};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return Server(std::move(command), options);
}
