// Runs the behaviour contract: `contract --column 01 --server PROGRAM [ARGUMENT ...]`.
#define DOCTEST_CONFIG_IMPLEMENT
#include "contract.hpp"

#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

namespace {

constexpr const char* usage =
    "usage: contract --column NAME [--soak] [--sanitized] [doctest's options] --server PROGRAM "
    "[ARGUMENT ...]\n"
    "  --column NAME   which model it is: 01, \"01 twin\", 02 ...\n"
    "  --soak          ten times as many callers\n"
    "  --sanitized     the server is built with a sanitizer: let it use more memory\n"
    "  --server ...    the server to start, with its arguments; the last option\n";

[[noreturn]] void refuse(const std::string& problem) {
    std::cerr << "contract: " << problem << '\n' << usage;
    std::exit(2);
}

Column column_named(const std::string& name) {
    for (const Column& column : columns)
        if (column.name == name) return column;
    refuse("no column is named \"" + name + '"');
}

// Takes out what is ours; what is left is for doctest.
std::vector<char*> take_options(int argc, char** argv) {
    std::vector<char*> others = {argv[0]};
    bool has_column = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const bool wants_value = word == "--column" || word == "--server";
        if (wants_value && i + 1 == argc) refuse(word + " needs a value");
        if (word == "--help") std::cout << usage << '\n';
        if (word == "--soak")
            subject().soak = true;
        else if (word == "--sanitized")
            subject().sanitized = true;
        else if (word == "--column") {
            subject().column = column_named(argv[++i]);
            has_column = true;
        } else if (word == "--server") {
            subject().command.assign(argv + i + 1, argv + argc);
            break;
        } else
            others.push_back(argv[i]);
    }
    const bool runs_nothing = others.size() > 1 && argc == 2; // --help, --list-test-cases
    if (!runs_nothing && !has_column) refuse("which model is it? --column NAME");
    if (!runs_nothing && subject().command.empty()) refuse("which server? --server PROGRAM");
    return others;
}

// Our own limit on descriptors, as high as it goes: some tests make a thousand calls.
void make_room() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN); // a server that hangs up while we send is an answer to judge
    make_room();
    std::vector<char*> others = take_options(argc, argv);
    return doctest::Context(static_cast<int>(others.size()), others.data()).run();
}
