// Earned in lesson 01, step 1: a system call that must not fail.
#pragma once

#include <cerrno>
#include <system_error>

// Returns the result of a system call. Where it is -1, throws std::system_error, whose text says
// which call failed and why ("bind: Address already in use").
auto check(auto result, const char* call) {
    if (result == -1) throw std::system_error(errno, std::generic_category(), call);
    return result;
}
