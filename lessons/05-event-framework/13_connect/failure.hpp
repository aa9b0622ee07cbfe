// Something went wrong, and nobody stands in a call to hear of it: an exception as a value.
#pragma once

#include <concepts>
#include <exception>
#include <string>
#include <utility>

// An exception flies up the stack, to whoever called. But when a result is late, whoever asked has
// returned long ago. So we catch the exception and keep it, until it can be handed to an errback.
class Failure {
public:
    // Inside of a catch: Failure(std::current_exception()).
    explicit Failure(std::exception_ptr exception) : exception_(std::move(exception)) {}
    explicit Failure(const std::derived_from<std::exception> auto& exception)
        : exception_(std::make_exception_ptr(exception)) {}

    [[noreturn]] void raise() const { std::rethrow_exception(exception_); }

    // Did an exception of this kind fly? The way to ask an exception_ptr is to let it fly again.
    template <typename Exception>
    bool is() const {
        try {
            raise();
        } catch (const Exception&) {
            return true;
        } catch (...) {
            return false;
        }
    }

    std::string what() const {
        try {
            raise();
        } catch (const std::exception& exception) {
            return exception.what();
        } catch (...) {
            return "an exception that does not say what it is";
        }
    }

private:
    std::exception_ptr exception_;
};
