// Checks that a small server keeps, for the tests of what stands around a check.
#include "exercise.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

TEST_CASE("hello") {
    Server server = start();
    Caller a = server.call("A");
    a.send("hello\n");
    a.expect("hello\n");
}

TEST_CASE("stops") {
    Server server = start();
    server.stop();
}

TEST_CASE("equal") {
    CHECK(1 + 1 == 3);
}

TEST_CASE("our_own_fault") {
    throw std::runtime_error("the author of this check was tired");
}

TEST_CASE("dies_itself") {
    std::abort();
}

TEST_CASE("never_ends") {
    Server server = start();
    Caller a = server.call("A");
    a.expect_silence(std::chrono::seconds(60));
}
