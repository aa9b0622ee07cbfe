// The Failure of what was not wanted any more.
#pragma once

#include <stdexcept>

class Cancelled : public std::runtime_error {
public:
    Cancelled() : std::runtime_error("cancelled: nobody wants the result any more") {}
};
