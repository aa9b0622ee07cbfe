// The pauses of step 13, hours of them in no time.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "cancelled.hpp"
#include "deferred.hpp"
#include "failure.hpp"
#include "fake_clock.hpp"
#include "retry.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

using namespace std::chrono_literals;

TEST_CASE("retry makes longer and longer pauses, and gives up") {
    FakeClock clock;
    int attempts = 0;
    std::string what;
    const auto attempt = [&] {
        return failed<int>(Failure(std::runtime_error("no " + std::to_string(++attempts))));
    };
    retry<int>(clock, attempt, 4, 1s).add_errback([&](const Failure& failure) {
        what = failure.what();
    });
    std::vector<int> after;
    for (int second = 0; second <= 8; ++second) {
        after.push_back(attempts);
        clock.advance(1s);
    }
    CHECK(after == std::vector{1, 2, 2, 3, 3, 3, 3, 4, 4});
    CHECK(what == "no 4");
}

TEST_CASE("retry stops when it works, and when nobody wants it any more") {
    FakeClock clock;
    int attempts = 0;
    const auto attempt = [&] {
        return ++attempts < 3 ? failed<int>(Failure(std::runtime_error("no"))) : succeeded(7);
    };
    const auto works = retry<int>(clock, attempt, 10, 1s);
    clock.advance(1h);
    CHECK(attempts == 3);
    CHECK(std::get<int>(*works.outcome()) == 7);

    attempts = 0;
    bool cancelled = false;
    const auto unwanted = retry<int>(clock, attempt, 10, 1s);
    unwanted.add_errback([&](const Failure& failure) { cancelled = failure.is<Cancelled>(); });
    unwanted.cancel();
    CHECK(cancelled);
    clock.advance(1h);
    CHECK(attempts == 1);
}
