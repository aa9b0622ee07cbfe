// What a server is asked, before anybody has looked into it.
#pragma once

#include "fd.hpp"

#include <string>

// A connection, or a message in one piece. Python calls it the request; here it comes in.
struct Incoming {
    Fd socket;          // the connection, and it is ours; or none
    std::string packet; // the message, where there is no connection
};
