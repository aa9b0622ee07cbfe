// Runs the conformance matrix: `matrix --column 01 --server PROGRAM [ARGUMENT ...]`.
//
// One JSON line for each cell on standard output; the story of a failure on standard error. Exit
// status 1 when a cell is not as it is designed.
#include "matrix_design.hpp"
#include "properties.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

namespace {

constexpr const char* usage =
    "usage: matrix --column NAME [--only P05,P06] [--without P18] [--sanitized]\n"
    "              --server PROGRAM [ARGUMENT ...]\n"
    "       matrix --list\n"
    "  --column NAME   whose promises to check: 01, \"01 twin\", 02 ...\n"
    "  --only LIST     these properties alone\n"
    "  --without LIST  all but these\n"
    "  --sanitized     the server is built with a sanitizer: let it use more memory\n"
    "  --list          print what is designed, and run nothing\n"
    "  --server ...    the server to start, with its arguments; the last option\n";

[[noreturn]] void refuse(const std::string& problem) {
    std::cerr << "matrix: " << problem << '\n' << usage;
    std::exit(2);
}

struct Options {
    Ground ground;
    std::vector<std::string> only;
    std::vector<std::string> without;
    bool list = false;
};

std::vector<std::string> split(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> parts;
    for (std::string part; std::getline(stream, part, ',');)
        parts.push_back(part);
    return parts;
}

Options options_from(std::vector<std::string> words) {
    Options options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto value = [&] {
            if (i + 1 == words.size()) refuse(word + " needs a value");
            return words[++i];
        };
        if (word == "--help") {
            std::cout << usage;
            std::exit(0);
        } else if (word == "--list")
            options.list = true;
        else if (word == "--sanitized")
            options.ground.sanitized = true;
        else if (word == "--column")
            options.ground.column = value();
        else if (word == "--only")
            options.only = split(value());
        else if (word == "--without")
            options.without = split(value());
        else if (word == "--server") {
            options.ground.command.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                          words.end());
            break;
        } else
            refuse("unknown option " + word);
    }
    if (options.list) return options;
    if (column_number(options.ground.column) == no_column)
        refuse("no column is named \"" + options.ground.column + '"');
    if (options.ground.command.empty()) refuse("which server? --server PROGRAM");
    for (const auto& list : {options.only, options.without})
        for (const std::string& name : list)
            if (std::none_of(design.begin(), design.end(),
                             [&](const Row& row) { return row.property == name; }))
                refuse("no property is named \"" + name + '"');
    return options;
}

bool names(const std::vector<std::string>& list, std::string_view property) {
    return std::find(list.begin(), list.end(), property) != list.end();
}

std::string json(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            quoted += {'\\', c};
        else if (c >= ' ' && c <= '~')
            quoted += c;
        else {
            std::array<char, 8> code{};
            std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned char>(c));
            quoted += code.data();
        }
    }
    return quoted + '"';
}

void list() {
    for (const Row& row : design) {
        std::cout << "{\"property\": " << json(row.property) << ", \"title\": " << json(row.title)
                  << ", \"cells\": {";
        for (std::size_t i = 0; i < columns.size(); ++i)
            std::cout << (i > 0 ? ", " : "") << json(columns[i]) << ": "
                      << json(cell_name(row.cells[i]));
        std::cout << "}}\n";
    }
}

struct Cell {
    std::string name; // PASS, LIMIT, FAIL or SKIP
    std::string seen;
};

Cell run(const Row& row, char letter, const Ground& ground) {
    const auto property =
        std::find_if(properties().begin(), properties().end(),
                     [&](const Property& candidate) { return candidate.name == row.property; });
    const Body body = letter == 'L' ? property->limit : property->pass;
    try {
        return {std::string(cell_name(letter)), body(ground)};
    } catch (const Unexpected& unexpected) {
        if (unexpected.outcome() == Outcome::skipped) return {"SKIP", unexpected.sentence()};
        std::cerr << row.property << " " << row.title << "\n  " << unexpected.what() << std::endl;
        return {"FAIL", unexpected.sentence() + " (" + unexpected.code() + ")"};
    } catch (const std::exception& error) {
        std::cerr << row.property << " " << row.title << "\n  " << error.what() << std::endl;
        return {"FAIL", std::string("the test itself failed: ") + error.what()};
    }
}

} // namespace

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    const Options options = options_from({argv + 1, argv + argc});
    if (options.list) {
        list();
        return 0;
    }
    const std::size_t column = column_number(options.ground.column);
    bool as_designed = true;
    for (const Row& row : design) {
        const char letter = row.cells[column];
        const bool wanted = (options.only.empty() || names(options.only, row.property)) &&
                            !names(options.without, row.property);
        if (letter == '-' || !wanted) continue;
        const auto begin = Clock::now();
        const Cell cell = run(row, letter, options.ground);
        as_designed = as_designed && cell.name != "FAIL";
        std::array<char, 32> seconds{};
        std::snprintf(seconds.data(), seconds.size(), "%.2f",
                      Seconds(Clock::now() - begin).count());
        std::cout << "{\"column\": " << json(options.ground.column)
                  << ", \"property\": " << json(row.property) << ", \"title\": " << json(row.title)
                  << ", \"cell\": " << json(cell.name) << ", \"seconds\": " << seconds.data()
                  << ", \"seen\": " << json(cell.seen) << '}' << std::endl;
    }
    return as_designed ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "matrix: " << error.what() << '\n';
    return 1;
}
