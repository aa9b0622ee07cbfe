// The behaviour contract: what every final server does, whatever its design. One file of tests for
// each part; here is what they share.
#pragma once

#include "caller.hpp"
#include "columns.hpp"
#include "server.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What is tested, from the command line.
struct Subject {
    Column column = columns.front();
    std::vector<std::string> command;
    bool soak = false;      // ten times as many callers
    bool sanitized = false; // the server is: its memory is the sanitizer's, too
};
Subject& subject();

enum class Service { hotline, echo };
inline constexpr std::array both_services = {Service::hotline, Service::echo};
std::string name_of(Service service);

using Words = std::vector<std::string>;

std::vector<std::string> command_with(const Words& options);
Server start(Service service, const Words& options = {}, const ServerOptions& how = {});

// A caller who is on the line, and has been answered once.
Caller served(Server& server, Service service, const std::string& name,
              const CallerOptions& options = {}, Seconds within = usual);

// After all that was done to it: the next caller is served, and SIGTERM ends it as it should.
void expect_well(Server& server, Service service);

// With how many descriptors, threads and children it waits for callers.
Counts at_rest(Server& server, Service service);

// All that comes until the end of the stream or a reset.
std::string heard_until_gone(Caller& caller, Seconds within = usual);

std::string noise(std::size_t count,
                  std::uint_fast64_t seed); // every byte value, the same each time

// A port that nobody uses, and that the kernel gives to nobody who does not ask for it by number.
int unused_port();

// Does anybody accept connections there?
bool answers(const std::string& host, int port);

// In bytes: the most memory that each process of the server had at a time, in all; of a child, what
// it had beyond its parent.
std::size_t peak_memory(Server& server);

// Until it takes hardly any of a processor: whatever its callers left it to do is done. A server that
// never rests is not waited for beyond a deadline; whoever measures then will see it.
void let_it_rest(Server& server);

// The share of a processor that the server takes while `time` passes.
double share_of_processor(Server& server, Seconds time);

std::size_t lines_in(std::string_view text);

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = 1024 * kibibyte;
