// One check, run: what was asked for, and what came of it.
#pragma once

#include <string>
#include <vector>

struct Request {
    std::string file;  // under test
    std::string check; // empty: all of them
    bool list = false;
    bool as_json = false;
    bool sanitized = false; // such a program needs address space without measure
    bool hold_at_failure = false;
    std::string hold_before; // a caller's name: the run is held before this one connects
    double seconds = 10;     // for one check
};

// What the command line says.
Request& request();

struct Verdict {
    std::string code = "pass";
    std::string sentence;
    std::string story;
    double seconds = 0;
};

// The names of the checks, in the order of the file.
std::vector<std::string> checks();

// Runs one of them here and now; doctest does that.
Verdict run_check(const std::string& name);

// The verdict as one line of JSON, without the end of the line.
std::string in_json(const std::string& check, const Verdict& verdict);

// The text in JSON's quotes.
std::string in_json(const std::string& text);
