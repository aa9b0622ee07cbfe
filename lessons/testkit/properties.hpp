// The properties of the conformance matrix: each is written once and runs against any server.
#pragma once

#include "caller.hpp"
#include "server.hpp"
#include "talk.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// What a property runs against.
struct Ground {
    std::vector<std::string> command;
    std::string column;
    bool sanitized = false; // the server is: its memory is the sanitizer's, too

    bool forks() const { return column.starts_with("04") || column == "06 forking"; }
    bool serves_one_at_a_time() const { return column.starts_with("01"); }
};

// Returns what was observed, in one sentence. Throws when it is not what was promised.
using Body = std::string (*)(const Ground&);

struct Property {
    std::string_view name;
    Body pass;
    Body limit = nullptr; // observes that, and how, the promise is not kept
};

const std::vector<Property>& properties();

Server start(const Ground& ground, const std::vector<std::string>& arguments = {},
             const ServerOptions& options = {});

// "12 ms", or "1.2 s"
std::string duration(Seconds time);

// P01 to P06, P13: what one caller says and hears.
std::string greeting(const Ground& ground);
std::string byte_by_byte(const Ground& ground);
std::string three_in_one(const Ground& ground);
std::string in_order(const Ground& ground);
std::string slow_reader(const Ground& ground);
std::string half_close(const Ground& ground);
std::string over_long_line(const Ground& ground);

// P07 to P12: callers who leave without a word, and signals.
std::string resets(const Ground& ground);
std::string gone_before_accept(const Ground& ground);
std::string writing_to_the_gone(const Ground& ground);
std::string signal_storm(const Ground& ground);
std::string descriptors_return(const Ground& ground);
std::string no_zombies(const Ground& ground);

// P14 to P16, P22 to P24: several callers.
std::string silent_first(const Ground& ground);
std::string silent_first_limit(const Ground& ground);
std::string one_sleeps(const Ground& ground);
std::string one_sleeps_limit(const Ground& ground);
std::string never_reader(const Ground& ground);
std::string never_reader_limit(const Ground& ground);
std::string exact_count(const Ground& ground);
std::string crash_harms_one(const Ground& ground);
std::string crash_harms_one_limit(const Ground& ground);
std::string said_lines(const Ground& ground);
std::string said_lines_limit(const Ground& ground);

// P17 to P21: room and time.
std::string bounded_memory(const Ground& ground);
std::string many_callers(const Ground& ground);
std::string many_callers_limit(const Ground& ground);
std::string descriptor_limit(const Ground& ground);
std::string idle_caller(const Ground& ground);
std::string goodbye_on_sigterm(const Ground& ground);
