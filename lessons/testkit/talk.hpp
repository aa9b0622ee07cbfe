// What callers of the hotline say and hear, in the words of more than one test.
#pragma once

#include "caller.hpp"

#include <cstddef>
#include <string>
#include <string_view>

// A caller who has heard the greeting.
Caller greeted(Server& server, const std::string& name, const CallerOptions& options = {});

// A new caller is greeted and answered.
void expect_service(Server& server, const std::string& name);

// Much is owed when the caller says exit, with more words behind it, and takes time to read. A
// close() with words unread would throw away what is still on its way.
void expect_all_that_is_owed(Server& server);

// The size of an answer in the middle of which SIGTERM finds the server: the kernel's buffers do not
// hold it. It is smaller under a sanitizer: there is a second for the rest. However slow the machine
// is, it stays: a smaller one would fit into the buffers, and prove nothing.
std::size_t long_answer();

// What follows the request `big COUNT`: its bytes, a line end, and the line with their sum. All of it
// takes time to make: make it before you tell the server to stop.
std::string big_bytes(std::size_t count);
std::string big_sum(std::size_t count);
std::string big_answer(std::size_t count);

std::string repeated(std::size_t count, std::string_view text);
