// The conformance matrix as it is meant to be: the one place that says which lesson's server keeps
// which promise, and which shows a limit instead. docs/matrix.md is written from a run against it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

struct Row {
    std::string_view property;
    std::string_view cells; // a letter for each column: P passes, L shows its limit, - not there
    std::string_view title;
};

// Lesson 06 has two columns, as its mix-ins keep different promises.
constexpr std::array<std::string_view, 8> columns = {
    "01", "01 twin", "02", "03", "04", "05", "06 threading", "06 forking",
};

// clang-format off
constexpr std::array<Row, 24> design = {{
    {"P01", "PPPPPPPP", "a greeting"},
    {"P02", "PPPPPPPP", "a request byte by byte"},
    {"P03", "PPPPPPPP", "three requests in one segment"},
    {"P04", "PPPPPPPP", "answers in order"},
    {"P05", "PPPPPPPP", "five million bytes to a slow reader, byte-exact"},
    {"P06", "PPPPPPPP", "half-close: every answer, then the end of the stream"},
    {"P07", "PPPPPPPP", "a reset harms nobody else"},
    {"P08", "PPPPPPPP", "callers gone before accept"},
    {"P09", "PPPPPPPP", "writing to the gone"},
    {"P10", "PPPPPPPP", "a storm of signals"},
    {"P11", "PPPPPPPP", "descriptors back to where they were after 1,000 callers"},
    {"P12", "----P--P", "no zombies after a burst of 200"},
    {"P13", "PPPPPPPP", "an over-long line is refused, the server lives"},
    {"P14", "LLPPPPPP", "a second caller is answered while the first is silent"},
    {"P15", "LLLPPPPP", "a second caller is answered while the first one's handler sleeps"},
    {"P16", "LLPPPPPP", "a reader who never reads stalls nobody"},
    {"P17", "PPPPPPPP", "memory bounded under slow readers"},
    {"P18", "LLLLLPLL", "2,000 callers at once"},
    {"P19", "PPPPPPPP", "at the descriptor limit: CPU under 20 %, recovers"},
    {"P20", "PPPPPPPP", "an idle caller is dropped in time"},
    {"P21", "PPPPPPPP", "SIGTERM: what is owed is sent, exit 0 within 2 s"},
    {"P22", "PPPPPPP-", "count is exact, 8 callers x 1,000"},
    {"P23", "LLLLPLLP", "crash harms only its caller"},
    {"P24", "--PPLP--", "said lines never interleave"},
}};
// clang-format on

constexpr std::size_t no_column = columns.size();

constexpr std::size_t column_number(std::string_view name) {
    return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) -
                                    columns.begin());
}

constexpr std::string_view cell_name(char letter) {
    return letter == 'P' ? "PASS" : letter == 'L' ? "LIMIT" : "-";
}
