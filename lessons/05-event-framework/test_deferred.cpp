// The proofs of step 11: what a Deferred does, case by case, and that Twisted's does the same.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "cancelled.hpp"
#include "deferred.hpp"
#include "drawing.hpp"
#include "failure.hpp"
#include "fake_clock.hpp"
#include "gather.hpp"
#include "player.hpp"
#include "then.hpp"
#include "timeout.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

// What is written to standard error while this lives.
class StandardError {
public:
    StandardError() : file_(::memfd_create("standard error", MFD_CLOEXEC)), before_(::dup(2)) {
        ::dup2(file_, 2);
    }
    StandardError(const StandardError&) = delete;
    StandardError& operator=(const StandardError&) = delete;
    ~StandardError() {
        ::dup2(before_, 2);
        ::close(before_);
        ::close(file_);
    }
    std::string text() const {
        std::string text(static_cast<size_t>(::lseek(file_, 0, SEEK_END)), ' ');
        const auto count = ::pread(file_, text.data(), text.size(), 0);
        return text.substr(0, static_cast<size_t>(count));
    }

private:
    int file_;
    int before_;
};

// Has this clock no call to make any more?
class IdleClock final : public Clock {
public:
    Moment now() const override { return {}; }
    bool idle() const { return !next(); }
};

std::vector<std::string> cut(const std::string& text, const std::string& by) {
    std::vector<std::string> pieces;
    size_t start = 0;
    for (size_t end = 0; end != std::string::npos; start = end + by.size()) {
        end = text.find(by, start);
        pieces.push_back(text.substr(start, end - start));
    }
    return pieces;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

// Plays the commands, and says what with_twisted.py says of them.
std::string played(const std::string& script) {
    const StandardError log;
    std::vector<std::string> ran;
    std::string end;
    {
        Player player;
        for (const auto& command : cut(script, ", ")) {
            const auto before = std::ssize(player.events());
            bool refused = false;
            try {
                player.play(command);
            } catch (const std::logic_error&) {
                refused = true;
            }
            ran.insert(ran.end(), player.events().begin() + before, player.events().end());
            if (refused) ran.emplace_back("refused");
        }
        const auto& outcome = player.chain().outcome();
        if (outcome)
            end =
                (Player::is_failure(*outcome) ? "failure " : "result ") + Player::spelled(*outcome);
        else
            end = player.chain().fired() ? "waits" : "not fired";
    }
    std::vector<std::string> reports;
    for (const auto& line : cut(log.text(), "\n"))
        if (const auto found = line.find(": "); found != std::string::npos)
            reports.push_back(line.substr(found + 2).starts_with("cancelled")
                                  ? "cancelled"
                                  : line.substr(found + 2));
    std::ranges::sort(reports);
    const std::string said = script + " | " + joined(ran) + " | " + end + " | " + joined(reports);
    return said.substr(0, said.find_last_not_of(' ') + 1);
}

} // namespace

TEST_CASE("step 11: hundreds of chains, each as in Twisted's Deferred") {
    std::ifstream table(CHAINS);
    int rows = 0;
    for (std::string row; std::getline(table, row);) {
        if (row.starts_with('#')) continue;
        CHECK(played(row.substr(0, row.find(" | "))) == row);
        ++rows;
    }
    const bool many = rows > 500;
    CHECK(many);
}

TEST_CASE("step 11: a chain that is fired first and built later comes to the same") {
    std::ifstream table(CHAINS);
    int rows = 0;
    for (std::string row; std::getline(table, row);) {
        const auto columns = cut(row, " | ");
        const auto commands = cut(columns[0], ", ");
        const auto& last = commands.back();
        const auto firings = std::ranges::count_if(commands, [](const std::string& command) {
            return command.starts_with("callback") || command.starts_with("errback") ||
                   command.starts_with("cancel");
        });
        if (row.starts_with('#') || firings != 1 || (last != "callback" && last != "errback"))
            continue;
        const auto early = last + ", " + columns[0].substr(0, columns[0].rfind(", "));
        if (commands.size() == 1) continue;
        CHECK(played(early) == early + row.substr(columns[0].size()));
        ++rows;
    }
    const bool many = rows > 500;
    CHECK(many);
}

TEST_CASE("step 11: links may take and return what their writer likes") {
    const Deferred<std::string> text;
    std::vector<std::string> heard;
    text.add_callback([](const std::string& result) { return result + "!"; })
        .add_callback([&](const std::string& result) { heard.push_back(result); })
        .add_callback([](const std::string& result) { return result.empty() ? "empty" : "full"; })
        .add_callback([&](const auto& result) -> Deferred<std::string>::Answer {
            heard.push_back(result);
            throw 7;
        })
        .add_errback([&](const Failure& failure) {
            CHECK(failure.is<int>());
            CHECK(!failure.is<std::exception>());
            heard.push_back(failure.what());
        });
    text.callback("hey");
    CHECK(heard ==
          std::vector<std::string>{"hey!", "empty", "an exception that does not say what it is"});
}

TEST_CASE("step 11: a result that cannot be copied goes through") {
    const Deferred<std::unique_ptr<int>> number;
    int seen = 0;
    number
        .add_callback([](std::unique_ptr<int> result) {
            ++*result;
            return result;
        })
        .add_errback([](const Failure&) {})
        .add_callback([&](const std::unique_ptr<int>& result) { seen = *result; });
    number.callback(std::make_unique<int>(41));
    CHECK(seen == 42);
}

TEST_CASE("step 11: a second firing says so, and changes nothing") {
    const Deferred<int> once;
    int runs = 0;
    once.add_callback([&](int result) { return ++runs, result; });
    once.callback(1);
    CHECK_THROWS_WITH(once.callback(2), "this Deferred has fired before: a result comes once");
    CHECK_THROWS_AS(once.errback(Failure(std::runtime_error("no"))), std::logic_error);
    CHECK(runs == 1);
    CHECK(std::get<int>(*once.outcome()) == 1);
}

TEST_CASE("step 11: links that a link adds run after it, in order") {
    const Deferred<int> chain;
    std::vector<int> order;
    chain
        .add_callback([&](int) {
            chain.add_callback([&](int) { order.push_back(3); });
            order.push_back(1);
        })
        .add_callback([&](int) { order.push_back(2); });
    chain.callback(0);
    CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("step 11: a link that returns its own Deferred is refused, it would wait for ever") {
    const Deferred<int> chain;
    chain.add_callback([copy = std::make_shared<Deferred<int>>(chain)](int) { return *copy; });
    std::string what;
    chain.callback(0);
    chain.add_errback([&](const Failure& failure) { what = failure.what(); });
    CHECK(what == "a Deferred cannot wait for itself");
}

TEST_CASE("step 11: the last handle may go while a link runs") {
    auto chain = std::make_unique<Deferred<std::string>>();
    const Deferred<std::string> firing = *chain;
    std::string seen;
    chain->add_callback([&chain](const std::string& result) {
        chain.reset();
        return result + "!";
    });
    chain->add_callback([&](const std::string& result) { seen = result; });
    firing.callback("still here");
    CHECK(seen == "still here!");
}

TEST_CASE("step 11: 100,000 chains that wait for one another do not need 100,000 stack frames") {
    const Deferred<int> first;
    auto last = first;
    for (int i = 0; i < 100'000; ++i) {
        const Deferred<int> next;
        next.add_callback([last](int) { return last; });
        next.callback(0);
        last = next;
    }
    int seen = 0;
    last.add_callback([&](int result) { seen = result; });
    first.callback(7);
    CHECK(seen == 7);
}

TEST_CASE("step 11: a failure that nobody handles is reported, once; a handled one never") {
    const StandardError log;
    {
        const Deferred<int> handled;
        handled.errback(Failure(std::runtime_error("handled")));
        handled.add_errback([](const Failure&) {});
        const Deferred<int> lost;
        lost.errback(Failure(std::runtime_error("lost")));
        lost.add_callback([](int) {});
        CHECK(log.text().empty()); // Somebody may still add an errback.
    }
    CHECK(log.text() == "a failure that nobody handled: lost\n");
}

TEST_CASE("step 11: to cancel ends the work where it can be ended") {
    int ended = 0;
    const Deferred<int> work([&](const auto&) { ++ended; });
    work.cancel();
    work.cancel();
    CHECK(ended == 1);
    CHECK(std::get<Failure>(*work.outcome()).is<Cancelled>());
    CHECK_THROWS_AS(work.callback(1), std::logic_error); // The work was told to end.
    work.add_errback([](const Failure&) {});

    const Deferred<int> best([](const auto& deferred) { deferred.callback(5); });
    best.cancel();
    CHECK(std::get<int>(*best.outcome()) == 5);

    const Deferred<int> done([&](const auto&) { ++ended; });
    done.callback(1);
    done.cancel();
    CHECK(ended == 1);
}

TEST_CASE("step 11: a chain that waits cancels what it waits for") {
    int ended = 0;
    const Deferred<int> inner([&](const auto&) { ++ended; });
    const Deferred<int> outer;
    std::string what;
    outer.add_callback([inner](int) { return Deferred(inner); });
    outer.add_errback([&](const Failure& failure) { what = failure.what(); });
    outer.callback(0);
    outer.cancel();
    CHECK(ended == 1);
    CHECK(what == Cancelled().what());
}

TEST_CASE("step 11: a result that is too late is a TimedOut, and the work is ended") {
    FakeClock clock;
    int ended = 0;
    const Deferred<int> slow([&](const auto&) { ++ended; });
    std::string what;
    add_timeout(slow, clock, 10s).add_errback([&](const Failure& failure) {
        CHECK(failure.is<TimedOut>());
        what = failure.what();
    });
    clock.advance(9s);
    CHECK(what.empty());
    clock.advance(1s);
    CHECK(what == "timed out: no result came in time");
    CHECK(ended == 1);
}

TEST_CASE("step 11: a result in time stops the clock, and so does every other end") {
    IdleClock clock;
    const Deferred<int> quick;
    add_timeout(quick, clock, 10s);
    quick.callback(3);
    CHECK(clock.idle());
    CHECK(std::get<int>(*quick.outcome()) == 3);

    const Deferred<int> unwanted;
    add_timeout(unwanted, clock, 10s).add_errback([](const Failure& failure) {
        CHECK(failure.is<Cancelled>()); // Not TimedOut: it was a person, not the clock.
    });
    unwanted.cancel();
    CHECK(clock.idle());
}

TEST_CASE("step 11: gather waits for all, and keeps their order") {
    const std::vector<Deferred<int>> parts(3);
    const auto all = gather(parts);
    parts[2].callback(30);
    parts[0].callback(10);
    CHECK(!all.fired());
    parts[1].callback(20);
    CHECK(std::get<std::vector<int>>(*all.outcome()) == std::vector{10, 20, 30});
    CHECK(gather<int>({}).fired());
}

TEST_CASE("step 11: gather fails with the first failure, and forgets the others") {
    const StandardError log;
    {
        const std::vector<Deferred<int>> parts(3);
        const auto all = gather(parts);
        std::string what;
        all.add_errback([&](const Failure& failure) { what = failure.what(); });
        parts[1].errback(Failure(std::runtime_error("first")));
        CHECK(what == "first");
        parts[0].errback(Failure(std::runtime_error("second")));
        parts[2].callback(3);
    }
    CHECK(log.text().empty());
}

TEST_CASE("step 11: to cancel a gathering cancels its parts") {
    int ended = 0;
    const Deferred<int> part([&](const auto&) { ++ended; });
    const auto all = gather<int>({part, part});
    all.add_errback([](const Failure& failure) { CHECK(failure.is<Cancelled>()); });
    all.cancel();
    CHECK(ended == 1);
    CHECK(all.fired());
}

TEST_CASE("step 11: a circle of chains that are never fired is freed") {
    const auto alive = std::make_shared<int>(0);
    {
        const Deferred<int> first([alive](const auto&) {});
        const auto second = then(first, [](int) { return Deferred<std::string>(); });
        gather<std::string>({second}).add_callback([alive](const auto&) {});
    }
    CHECK(alive.use_count() == 1);
}

TEST_CASE("step 11: then() goes from one kind of result to another") {
    const Deferred<int> number;
    const Deferred<std::string> later;
    int asked = 0;
    const auto text = then(number, [&](int result) {
        asked = result;
        return Deferred(later);
    });
    number.callback(7);
    CHECK(asked == 7);
    CHECK(!text.outcome());
    later.callback("seven");
    CHECK(std::get<std::string>(*text.outcome()) == "seven");

    const auto never = then(failed<int>(Failure(std::runtime_error("no number"))), [&](int) {
        ++asked;
        return Deferred(later);
    });
    std::string what;
    never.add_errback([&](const Failure& failure) { what = failure.what(); });
    CHECK(what == "no number");
    CHECK(asked == 7);
}

TEST_CASE("step 11: to cancel what then() has begun cancels whichever is under way") {
    for (const bool fired : {false, true}) {
        int ended = 0;
        const Deferred<int> first([&](const auto&) { ended += 1; });
        const Deferred<std::string> second([&](const auto&) { ended += 10; });
        const auto both = then(first, [second](int) { return Deferred(second); });
        bool cancelled = false;
        both.add_errback([&](const Failure& failure) { cancelled = failure.is<Cancelled>(); });
        if (fired) first.callback(1);
        both.cancel();
        CHECK(ended == (fired ? 10 : 1));
        CHECK(cancelled);
    }
}

TEST_CASE("step 11: the drawing shows the way") {
    Player player;
    for (const auto& command : {"cb raise", "cb ok", "eb recover", "pair defer ok", "callback"})
        player.play(command);
    CHECK(Drawing::of(player) == R"(      callbacks           errbacks
      |  start
  1   [raise]
       \__________________
                          |  raised by 1
  2   ok                  |
                          |  raised by 1
  3                       [recover]
       __________________/
      |  from 3
  4   [defer]             ok
      it waits
)");
}

TEST_CASE("step 11: what the player does not know, it refuses and says so") {
    Player player;
    for (const auto& wrong :
         {"", "cb", "cb ok ok", "pair ok", "cd ok", "callback 1", "callback 1 2"})
        CHECK_THROWS_AS(player.play(wrong), std::invalid_argument);
    CHECK_THROWS_WITH(player.play("cb sing"), "there is no action \"sing\": try help");
    CHECK(player.links().empty());
}
