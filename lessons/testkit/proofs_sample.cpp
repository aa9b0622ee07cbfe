// Proofs of every kind, for the test of proofs.py: --one-step-back is all that they look at.
#include "step.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

namespace {

void fail_before(Outcome outcome) {
    if (steps().one_step_back)
        throw Unexpected(outcome, code_of(outcome), "s", "so it was  (" + code_of(outcome) + ")\n");
}

} // namespace

TEST_CASE("step 1: needs no proof") {}
TEST_CASE("step 2: a broken expectation, with a comma") {
    fail_before(Outcome::wrong_bytes);
}
TEST_CASE("step 3: a broken check") {
    CHECK_FALSE(steps().one_step_back);
}
TEST_CASE("step 3 (also before): says nothing about step 2") {}
TEST_CASE("step 4: passes before") {}
TEST_CASE("step 5: the harness fails") {
    fail_before(Outcome::harness);
}
TEST_CASE("step 6: something else is thrown") {
    if (steps().one_step_back) throw std::runtime_error("bind: no such luck");
}
TEST_CASE("step 7: a crash of the test") {
    if (steps().one_step_back) std::abort();
}
