// A machine that is slow gets later deadlines: else a verdict would be about the machine.
#include "timeout_scale.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>

using namespace std::chrono_literals;

TEST_CASE("the scale is at least that of the build, and bounded") {
    const double build = sanitized() ? 5 : 1;
    CHECK(timeout_scale() >= build);
    CHECK(timeout_scale() <= 20 * build);
}

TEST_CASE("a machine that looks slow once stays so: a deadline that was given is not taken back") {
    const double before = timeout_scale();
    measure_machine();
    CHECK(timeout_scale() >= before);
}

TEST_CASE("a deadline that is not scaled passes in its time") {
    const Deadline deadline(10ms);
    CHECK(deadline.left() <= 10ms);
    std::this_thread::sleep_for(10ms); // until it has passed
    CHECK(deadline.passed());
    CHECK(deadline.milliseconds() == 0);
}

TEST_CASE("what moves renews a deadline, and not for ever") {
    Deadline deadline(10ms);
    std::this_thread::sleep_for(10ms); // until it has passed
    REQUIRE(deadline.passed());
    deadline.renew();
    CHECK(deadline.left() <= 10ms);
    std::this_thread::sleep_for(120ms); // twelve times
    deadline.renew();
    CHECK(deadline.passed());
}

// Run with forks made slow on purpose: 15 ms where one is to take 1 ms.
TEST_CASE("slow forks are seen" * doctest::skip(std::getenv("LD_PRELOAD") == nullptr)) {
    CHECK(timeout_scale() >= 10);
    CHECK(scaled(1s).left() > 9s);
}
