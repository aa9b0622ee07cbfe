// What every handler has in common: it can be executed.
#pragma once

#include <stdexcept>

// Derive from it, and say in `execute` what is to be done.
class BaseHandler {
public:
    BaseHandler() = default;
    BaseHandler(const BaseHandler&) = delete;
    BaseHandler& operator=(const BaseHandler&) = delete;
    virtual ~BaseHandler() = default;

    // It could be pure virtual, and then the compiler would refuse a handler that does nothing. Here
    // it is refused when it is run, as in a language without a compiler: you see who calls whom.
    virtual void execute() {
        throw std::logic_error("this handler does not say what to do: override execute()");
    }
};
