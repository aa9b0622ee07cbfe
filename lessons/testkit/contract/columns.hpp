// Where the models must differ: one row for each final server, and no word about it anywhere else.
#pragma once

#include <array>
#include <string_view>

enum class Costs { nothing, a_thread, a_process };

struct Column {
    std::string_view name;
    int held;                    // so many callers are served while all of them stay
    Costs caller;                // what each of them costs
    std::string_view waits_in;   // the call in which it waits for callers
    std::string_view listens_in; // ... and for the next words of one who is on the line

    bool serves_at_once() const { return held > 1; }
};

// "" stands for a call that the lesson leaves open.
inline constexpr std::array<Column, 15> columns = {{
    {"01", 1, Costs::nothing, "accept", "recv"},
    {"01 twin", 1, Costs::nothing, "poll", "poll"}, // Python polls where a socket has a timeout
    {"02", 400, Costs::nothing, "select", "select"},
    {"02 twin", 400, Costs::nothing, "select", "select"},
    {"03", 300, Costs::a_thread, "", ""},
    {"03 twin", 300, Costs::a_thread, "", ""},
    {"04", 150, Costs::a_process, "", ""},
    {"04 twin", 150, Costs::a_process, "", ""},
    {"05", 1000, Costs::nothing, "epoll_wait", "epoll_wait"},
    {"05 select", 1000, Costs::nothing, "select", "select"},
    {"05 poll", 1000, Costs::nothing, "poll", "poll"},
    {"05 twin", 1000, Costs::nothing, "epoll_wait", "epoll_wait"},
    {"06", 300, Costs::a_thread, "", ""},
    {"06 twin", 300, Costs::a_thread, "", ""},
    {"06 forking", 150, Costs::a_process, "", ""},
}};
