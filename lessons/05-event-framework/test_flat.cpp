// The proofs of step 11 for rows that are as long as the data says: a stack of 8 MiB is enough for
// each of them, since nothing runs, ends or is destroyed inside of the one before.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "cancelled.hpp"
#include "deferred.hpp"
#include "failure.hpp"
#include "then.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr int many = 70'000;

// Waits for `first`, through many others that wait for the one before.
Deferred<int> row_behind(const Deferred<int>& first) {
    Deferred<int> last = first;
    for (int i = 0; i < many; ++i) {
        const Deferred<int> next;
        next.add_callback([last](int) { return last; });
        next.callback(0);
        last = next;
    }
    return last;
}

} // namespace

TEST_CASE("a long row that waits is dropped") {
    const auto alive = std::make_shared<int>(0);
    {
        const Deferred<int> first;
        row_behind(first).add_callback([alive](int) {});
        CHECK(alive.use_count() == 2);
    }
    CHECK(alive.use_count() == 1);
}

TEST_CASE("a long row that waits is cancelled, and then dropped") {
    int ended = 0;
    bool cancelled = false;
    const Deferred<int> first([&](const auto&) { ++ended; });
    const auto last = row_behind(first);
    last.add_errback([&](const Failure& why) { cancelled = why.is<Cancelled>(); });
    last.cancel();
    CHECK(ended == 1);
    CHECK(cancelled);
}

TEST_CASE("a long row of links, none of which has run, is dropped") {
    const auto alive = std::make_shared<int>(0);
    auto last = std::make_unique<Deferred<int>>();
    last->add_callback([alive](int) {});
    for (int i = 0; i < many; ++i) {
        auto next = std::make_unique<Deferred<int>>();
        next->add_callback([handle = *last](int) { return handle; });
        last = std::move(next);
    }
    last.reset();
    CHECK(alive.use_count() == 1);
}

TEST_CASE("a row of two kinds of results is fired and dropped") {
    for (const bool fired : {true, false}) {
        const auto alive = std::make_shared<int>(0);
        std::optional<int> seen;
        {
            const Deferred<int> first;
            auto last = first;
            for (int i = 0; i < many / 2; ++i) {
                const auto text =
                    then(last, [alive](int result) { return succeeded(std::to_string(result)); });
                last = then(text, [](const std::string& result) {
                    return succeeded(std::stoi(result) + 1);
                });
            }
            last.add_callback([&](int result) { seen = result; });
            if (fired) first.callback(0);
        }
        CHECK(seen == (fired ? std::optional(many / 2) : std::nullopt));
        CHECK(alive.use_count() == 1);
    }
}

TEST_CASE("a row of two kinds of results is cancelled, from its end to its beginning") {
    int ended = 0;
    bool cancelled = false;
    const Deferred<int> first([&](const auto&) { ++ended; });
    auto last = first;
    for (int i = 0; i < many / 2; ++i) {
        const auto text = then(last, [](int) { return succeeded(std::string()); });
        last = then(text, [](const std::string&) { return succeeded(0); });
    }
    last.add_errback([&](const Failure& why) { cancelled = why.is<Cancelled>(); });
    last.cancel();
    CHECK(ended == 1);
    CHECK(cancelled);
}

TEST_CASE("a loop, round after round: its steps come later, or are there at once") {
    for (const bool at_once : {false, true}) {
        CAPTURE(at_once);
        std::vector<Deferred<int>> steps;
        int rounds = 0;
        const auto step = [&] {
            if (at_once) return succeeded(0);
            return steps.emplace_back();
        };
        std::function<Deferred<int>()> round = [&] {
            return step().add_callback([&](int) -> Deferred<int>::Answer {
                if (++rounds == many) return rounds;
                return round();
            });
        };
        std::optional<int> seen;
        round().add_callback([&](int result) { seen = result; });
        for (int i = 0; i < std::ssize(steps); ++i)
            Deferred(steps[static_cast<std::size_t>(i)]).callback(0);
        CHECK(seen == many);
    }
}

TEST_CASE("a loop that is given up in the middle") {
    for (const bool cancels : {true, false}) {
        const auto alive = std::make_shared<int>(0);
        bool cancelled = false;
        {
            std::optional<Deferred<int>> step;
            std::function<Deferred<int>()> round = [&] {
                step.emplace([alive](const auto&) {});
                return step->add_callback([&](int) { return round(); });
            };
            auto all =
                round().add_errback([&](const Failure& why) { cancelled = why.is<Cancelled>(); });
            for (int i = 0; i < many; ++i)
                Deferred(*step).callback(0);
            if (cancels) all.cancel();
        }
        CHECK(cancelled == cancels);
        CHECK(alive.use_count() == 1);
    }
}

TEST_CASE("two that would wait for each other: the second is refused, and both are freed") {
    const auto alive = std::make_shared<int>(0);
    std::string what;
    {
        const Deferred<int> a([alive](const auto&) {});
        const Deferred<int> b([alive](const auto&) {});
        a.add_callback([b](int) { return Deferred(b); }).add_errback([&](const Failure& failure) {
            what = failure.what();
        });
        b.add_callback([a](int) { return Deferred(a); });
        a.callback(0);
        CHECK(!a.outcome());
        b.callback(0);
        CHECK(what == "a Deferred cannot wait for itself");
        a.cancel();
        b.cancel();
    }
    CHECK(alive.use_count() == 1);
}

TEST_CASE("a circle of three, and whoever is cancelled before it would close") {
    for (const bool cancels : {true, false}) {
        std::vector<Deferred<int>> chains(3);
        std::vector<std::string> ends(3);
        for (std::size_t i = 0; i < 3; ++i) {
            chains[i].add_callback([&chains, i](int) { return chains[(i + 1) % 3]; });
            chains[i].add_errback([&, i](const Failure& failure) { ends[i] = failure.what(); });
        }
        chains[0].callback(0);
        chains[1].callback(0);
        if (cancels) chains[0].cancel();
        chains[2].callback(0);
        CHECK(ends[2] == (cancels ? Cancelled().what() : "a Deferred cannot wait for itself"));
    }
}
