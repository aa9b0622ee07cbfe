// A learner's program may fork without end, eat memory, fill the disk or never stop. Whatever it
// does, the check says what it was, and nothing of it is left running.
#pragma once

#include "verdict.hpp"

// Runs one check in a process of its own, watches what it starts, and ends all of that with it.
Verdict run_guarded(const std::string& check);
