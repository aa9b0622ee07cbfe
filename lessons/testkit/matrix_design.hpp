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

// Lesson 06 has a column more, as its mix-ins keep different promises.
constexpr std::array<std::string_view, 13> columns = {
    "01",      "01 twin", "02",      "02 twin", "03",      "03 twin",    "04",
    "04 twin", "05",      "05 twin", "06",      "06 twin", "06 forking",
};

// clang-format off
constexpr std::array<Row, 24> design = {{
    {"P01", "PPPPPPPPPPPPP", "a greeting"},
    {"P02", "PPPPPPPPPPPPP", "a request byte by byte"},
    {"P03", "PPPPPPPPPPPPP", "three requests in one segment"},
    {"P04", "PPPPPPPPPPPPP", "answers in order"},
    {"P05", "PPPPPPPPPPPPP", "five million bytes to a slow reader, byte-exact"},
    {"P06", "PPPPPPPPPPPPP", "half-close: every answer, then the end of the stream"},
    {"P07", "PPPPPPPPPPPPP", "a reset harms nobody else"},
    {"P08", "PPPPPPPPPPPPP", "callers gone before accept"},
    {"P09", "PPPPPPPPPPPPP", "writing to the gone"},
    {"P10", "PPPPPPPPPPPPP", "a storm of signals"},
    {"P11", "PPPPPPPPPPPPP", "descriptors back to where they were after many callers"},
    {"P12", "------PP----P", "no zombies after a burst of 200"},
    {"P13", "PPPPPPPPPPPPP", "an over-long line is refused, the server lives"},
    {"P14", "LLPPPPPPPPPPP", "a second caller is answered while the first is silent"},
    {"P15", "LLLLPPPPPPPPP", "a second caller is answered while the first one's handler sleeps"},
    {"P16", "LLPPPPPPPPPPP", "a reader who never reads stalls nobody"},
    {"P17", "PPPPPPPPPPPPP", "memory bounded under slow readers"},
    {"P18", "LLLLLLLLPPLLL", "2,000 callers at once"},
    {"P19", "PPPPPPPPPPPPP", "at the descriptor limit: CPU under 20 %, recovers"},
    {"P20", "PPPPPPPPPPPPP", "an idle caller is dropped in time"},
    {"P21", "PPPPPPPPPPPPP", "SIGTERM: what is owed is sent, exit 0 within 2 s"},
    {"P22", "PPPPPPPPPPPPP", "count is exact, 8 callers x 1,000"},
    {"P23", "LLLLLLPPLLLLP", "crash harms only its caller"},
    {"P24", "--PPPPLLPPLLL", "said lines never interleave"},
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
