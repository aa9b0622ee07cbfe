#include "step.hpp"

#include <unistd.h>

#include <vector>

namespace {

[[noreturn]] void give_up(Outcome outcome, const std::string& sentence) {
    const std::string code = code_of(outcome);
    throw Unexpected(outcome, code, sentence, sentence + "  (" + code + ")\n");
}

} // namespace

Steps& steps() {
    static Steps the_steps;
    return the_steps;
}

std::filesystem::path program_of_step(int number) {
    const int wanted = steps().one_step_back ? number - 1 : number;
    if (wanted < 1) give_up(Outcome::skipped, "no step stands before step 1");
    if (steps().folder.empty())
        give_up(Outcome::harness, "where are the step programs? Say --programs=FOLDER");
    const std::string start = std::to_string(wanted) + '_';
    std::vector<std::filesystem::path> found;
    // Beside a program Meson keeps a folder of its object files, 4_....p.
    for (const auto& entry : std::filesystem::directory_iterator(steps().folder))
        if (entry.path().filename().string().starts_with(start) && entry.is_regular_file() &&
            ::access(entry.path().c_str(), X_OK) == 0)
            found.push_back(entry.path());
    if (found.size() == 1) return found.front();
    give_up(Outcome::harness, (found.empty() ? "no program " : "several programs ") + start +
                                  "... in " + steps().folder.string() +
                                  (found.empty() ? ": build the lesson first" : ""));
}
