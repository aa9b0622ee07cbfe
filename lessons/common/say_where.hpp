// Given: the line that says where a server listens.
#pragma once

#include "log.hpp"

#include <unistd.h>

#include <iostream>
#include <stdexcept>
#include <string>

// Prints `listening on ADDRESS` on standard output. Where nobody can read it (the reader is gone, or
// its pipe is full) a server whose user has chosen the address serves all the same. An address that
// the kernel has chosen nobody could learn: std::runtime_error.
inline void say_where(const std::string& address, bool user_has_chosen) {
    const bool said = has_room(STDOUT_FILENO) && std::cout << "listening on " << address
                                                           << std::endl;
    if (said) return;
    if (!user_has_chosen)
        throw std::runtime_error("cannot write to standard output, and nobody would know the port: "
                                 "choose one yourself, or read the output");
    log_line("listening on ", address, ", which standard output does not take");
}
