// The checks of exercise 05/when: what is seen of the lesson's own programs.
#include "exercise.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>

namespace {

// Plays a chain in step 11. Who has run stands in brackets in its drawing.
void play(const Guess& guess, const std::vector<std::string>& words, const std::string& link,
          const std::string& if_it_ran, const std::string& if_not) {
    Server player = step(11, words, {.ready = Ready::at_once});
    player.wait_exit();
    const bool ran = player.out().find('[' + link + ']') != std::string::npos;
    guess.meets(ran ? if_it_ran : if_not, player);
}

// Where the loop sleeps with A, both are ready when it wakes, and A's turn is first.
std::string when_b_is_answered(Server& server) {
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("sleep 500\n");
    wait_until_asleep(server);
    b.send("0\n");
    b.expect("0000\n");
    return a.has_news() ? "after A" : "at once";
}

} // namespace

TEST_CASE("beside") {
    const Guess guess("beside", {"yes", "no"});
    play(guess, {"pair", "raise", "recover,", "callback"}, "recover", "yes", "no");
}

TEST_CASE("afterwards") {
    const Guess guess("afterwards", {"a result", "a failure"});
    play(guess, {"cb", "raise,", "eb", "recover,", "cb", "keep,", "callback"}, "keep", "a result",
         "a failure");
}

TEST_CASE("waiting") {
    const Guess guess("waiting", {"yes", "no"});
    play(guess, {"cb", "defer,", "cb", "ok,", "callback"}, "ok", "yes", "no");
}

TEST_CASE("late") {
    const Guess guess("late", {"at once", "never"});
    play(guess, {"callback,", "cb", "ok"}, "ok", "at once", "never");
}

TEST_CASE("nap_2") {
    const Guess guess("nap_2", {"at once", "after A"});
    Server server = step(2);
    guess.meets(when_b_is_answered(server), server);
}

TEST_CASE("nap_3") {
    const Guess guess("nap_3", {"at once", "after A"});
    Server server = step(3);
    guess.meets(when_b_is_answered(server), server);
}

TEST_CASE("rehearsal") {
    const Guess guess("rehearsal", {"a minute", "no time"});
    Server rehearsal = step(6, {"rehearse"}, {.ready = Ready::at_once});
    rehearsal.wait_exit(); // within five seconds, or this is an error of ours
    guess.meets("no time", rehearsal);
}

TEST_CASE("fifth") {
    const Guess guess("fifth", {"one of the four", "the fifth"});
    Server server = step(12);
    Caller a = server.call("A");
    a.send("sleep 300\nsleep 300\nsleep 300\nsleep 300\nsleep 10\n");
    guess.meets(a.expect_line() == "sleep 300: ok" ? "one of the four" : "the fifth", server);
}
