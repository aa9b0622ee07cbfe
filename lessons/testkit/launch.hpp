// Starts a program in a session of its own, with nothing of ours but what it is given.
#pragma once

#include "owned_fd.hpp"

#include <sys/resource.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

struct Launch {
    std::vector<std::string> command;
    std::vector<std::string> environment;
    std::string folder;
    std::map<int, rlim_t> limits;
    std::vector<int> closed;
};

struct Launched {
    pid_t pid = -1;
    OwnedFd out; // what it writes; reading never blocks
    OwnedFd err;
};

// Throws std::system_error, with the step that failed, when the program does not come to run.
Launched launch(const Launch& launch);
