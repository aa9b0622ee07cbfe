// Exercise 05/hedge, solved in another way: functions that share what they know.
#include "deferred.hpp"
#include "fake_clock.hpp"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using Answer = Deferred<std::string>;
using Ask = std::function<Answer()>;

// What both of them, the clock and whoever cancels have in common. It holds nobody: a button is weak.
struct State {
    Timer timer;
    std::function<void()> cancel_first = [] {};
    std::function<void()> cancel_second = [] {};
    int hopes = 2;
    bool second_is_asked = false;
    bool over = false;

    // To cancel who has fired does nothing.
    void stop() {
        over = true;
        timer.cancel();
        cancel_first();
        cancel_second();
    }
};

// The answer of the first. If none has come after `patience`, or if the first fails before, the second
// is asked, too; and then the answer that comes first is the answer. Who was asked in vain is cancelled.
// It fails when both have failed, with the Failure that came last. To cancel it cancels all of it.
Answer hedge(const Ask& first, const Ask& second, Clock& clock, Delay patience) {
    const auto state = std::make_shared<State>();
    Answer answer([state](const Answer&) { state->stop(); });
    const auto win = [=](const std::string& text) {
        if (state->over) return;
        state->stop();
        answer.callback(text);
    };
    const auto lose = [=](const Failure& failure) {
        if (state->over || --state->hopes > 0) return;
        state->stop();
        answer.errback(failure);
    };
    const auto ask_second = [=] {
        state->timer.cancel();
        state->second_is_asked = true;
        const auto two = second();
        state->cancel_second = two.cancel_button();
        two.add_callbacks(win, lose);
    };

    state->timer = clock.call_later(patience, ask_second);
    const auto one = first();
    state->cancel_first = one.cancel_button();
    one.add_callbacks(win, [=](const Failure& failure) {
        lose(failure);
        if (!state->over && !state->second_is_asked) ask_second();
    });
    return answer;
}

// What follows plays it, with two that answer when they are told to, on a clock of ours.

using std::chrono::milliseconds;

// A clock that says how long it has gone, and whether it is still to make calls.
class Stopwatch : public Clock {
public:
    Moment now() const override { return moment_; }
    long time() const { return (moment_ - Moment()) / milliseconds(1); }
    bool is_wound() const { return next() && *next() < Moment(std::chrono::hours(1)); }
    void go_on_until(Moment end) {
        while (next() && *next() <= end) {
            moment_ = std::max(moment_, *next());
            make_calls();
        }
        moment_ = end;
    }

private:
    Moment moment_;
};

// Somebody who can be asked, and what they do then: "answers 100", "fails 100", "never", "answers 0".
// Writes down what happens to them.
class Oracle {
public:
    Oracle(std::string name, const std::string& habit, Stopwatch& clock)
        : name_(std::move(name)), fails_(habit.starts_with("fails")), clock_(clock) {
        const std::size_t space = habit.find(' ');
        if (space != std::string::npos) delay_ = milliseconds(std::stol(habit.substr(space)));
    }

    Answer ask() {
        note("asked");
        if (delay_ == Delay::zero()) return fails_ ? failed<std::string>(trouble()) : answer();
        auto timer = std::make_shared<Timer>();
        Answer later([this, timer, held = in_memory_](const Answer&) {
            timer->cancel();
            note("cancelled");
        });
        *timer = clock_.call_later(delay_, [this, later] {
            note(fails_ ? "fails" : "answers");
            if (fails_) return later.errback(trouble());
            later.callback("from " + name_);
        });
        return later;
    }

    std::string story() const { return story_.empty() ? "not asked" : story_; }
    bool is_forgotten() const { return in_memory_.use_count() == 1; }

private:
    Answer answer() const { return succeeded("from " + name_); }
    Failure trouble() const { return Failure(std::runtime_error("trouble with " + name_)); }
    void note(const std::string& what) {
        story_ += (story_.empty() ? "" : ", ") + what + " at " + std::to_string(clock_.time());
    }

    const std::string name_;
    const bool fails_;
    Stopwatch& clock_;
    Delay delay_ = std::chrono::hours(1); // as good as never
    std::string story_;
    std::shared_ptr<int> in_memory_ = std::make_shared<int>();
};

// Arguments: what the first does, what the second does, and perhaps after how many milliseconds somebody
// cancels. Patience is 200 milliseconds, and after 1,000 all is over.
int main(int argc, char** argv) try {
    if (argc < 3) throw std::invalid_argument("say for example:  hedge 'never' 'answers 100' 50");
    std::string result = "none";
    auto clock = std::make_unique<Stopwatch>();
    Oracle one("one", argv[1], *clock);
    Oracle two("two", argv[2], *clock);
    {
        const Answer answer =
            hedge([&] { return one.ask(); }, [&] { return two.ask(); }, *clock, milliseconds(200));
        const auto at = [&] { return " at " + std::to_string(clock->time()); };
        answer.add_callbacks([&](const std::string& text) { result = text + at(); },
                             [&](const Failure& failure) { result = failure.what() + at(); });
        if (argc > 3) {
            clock->go_on_until(Moment(milliseconds(std::stol(argv[3]))));
            answer.cancel();
        }
        clock->go_on_until(Moment(milliseconds(1000)));
    }
    std::printf("one: %s\ntwo: %s\nresult: %s\n", one.story().c_str(), two.story().c_str(),
                result.c_str());
    if (clock->is_wound()) std::printf("the clock is still wound\n");
    clock.reset();
    if (!one.is_forgotten() || !two.is_forgotten()) std::printf("something is still in memory\n");
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
}
