// The checks of exercise 05/hedge. No check waits: the program's clock is not the world's.
#include "exercise.hpp"

#include <doctest/doctest.h>

namespace {

void expect(const std::vector<std::string>& habits, const std::string& seen) {
    Server program = start_program(habits);
    CHECK(program.wait_exit() == 0);
    if (program.out() == seen) return;
    program.fail(Outcome::wrong_bytes, "the program was to tell another story",
                 "expected:\n" + seen + "told:\n" + program.out());
}

} // namespace

TEST_CASE("quick") {
    expect({"answers 100", "answers 100"}, "one: asked at 0, answers at 100\n"
                                           "two: not asked\n"
                                           "result: from one at 100\n");
}

TEST_CASE("at_once") {
    expect({"answers 0", "answers 100"}, "one: asked at 0\n"
                                         "two: not asked\n"
                                         "result: from one at 0\n");
}

TEST_CASE("slow") {
    expect({"answers 500", "answers 100"}, "one: asked at 0, cancelled at 300\n"
                                           "two: asked at 200, answers at 300\n"
                                           "result: from two at 300\n");
}

TEST_CASE("a_little_slow") {
    expect({"answers 250", "answers 100"}, "one: asked at 0, answers at 250\n"
                                           "two: asked at 200, cancelled at 250\n"
                                           "result: from one at 250\n");
}

TEST_CASE("first_fails") {
    expect({"fails 50", "answers 300"}, "one: asked at 0, fails at 50\n"
                                        "two: asked at 50, answers at 350\n"
                                        "result: from two at 350\n");
}

TEST_CASE("second_fails") {
    expect({"answers 500", "fails 100"}, "one: asked at 0, answers at 500\n"
                                         "two: asked at 200, fails at 300\n"
                                         "result: from one at 500\n");
}

TEST_CASE("both_fail") {
    expect({"fails 250", "fails 100"}, "one: asked at 0, fails at 250\n"
                                       "two: asked at 200, fails at 300\n"
                                       "result: trouble with two at 300\n");
}

TEST_CASE("cancelled_early") {
    expect({"answers 500", "answers 100", "50"},
           "one: asked at 0, cancelled at 50\n"
           "two: not asked\n"
           "result: cancelled: nobody wants the result any more at 50\n");
}

TEST_CASE("cancelled_late") {
    expect({"never", "never", "250"},
           "one: asked at 0, cancelled at 250\n"
           "two: asked at 200, cancelled at 250\n"
           "result: cancelled: nobody wants the result any more at 250\n");
}

TEST_CASE("forgotten") {
    expect({"never", "never"}, "one: asked at 0\n"
                               "two: asked at 200\n"
                               "result: none\n");
}
