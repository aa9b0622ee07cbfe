// Plays a chain: takes commands, adds links, fires, and remembers what ran.
#pragma once

#include "cancelled.hpp"
#include "deferred.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

class Player {
public:
    using Outcome = Deferred<std::string>::Outcome;
    using Answer = Deferred<std::string>::Answer;
    using Words = std::vector<std::string>;

    static constexpr std::array<std::string_view, 9> actions{
        "ok", "recover", "keep", "none", "raise", "fail", "defer", "done", "broken"};

    struct Link {
        std::string callback; // its action; empty: it has none
        std::string errback;
        std::optional<Outcome> came; // what has come to this link, if something has
    };

    Player() = default;
    Player(const Player&) = delete;
    Player& operator=(const Player&) = delete;

    // Throws std::logic_error for a command that we do not know, and for a second firing.
    void play(const std::string& command) {
        std::istringstream text(command);
        Words words;
        for (std::string word; text >> word;)
            words.push_back(word);
        const std::string verb = words.empty() ? "" : words.front();
        const bool fires = verb == "callback" || verb == "errback" || verb == "cancel";
        const bool adds = verb == "cb" || verb == "eb" || verb == "both";
        if (fires && words.size() <= 2)
            fire(words);
        else if ((adds && words.size() == 2) || (verb == "pair" && words.size() == 3))
            add(words);
        else
            throw std::invalid_argument("there is no command \"" + command + "\": try help");
    }

    const std::vector<Link>& links() const { return links_; }

    // What ran, in order, and what it got: "2 cb from 1".
    const std::vector<std::string>& events() const { return events_; }
    const Deferred<std::string>& chain() const { return chain_; }

    static bool is_failure(const Outcome& outcome) {
        return std::holds_alternative<Failure>(outcome);
    }
    static std::string spelled(const Outcome& outcome) {
        const auto* failure = std::get_if<Failure>(&outcome);
        if (failure) return failure->is<Cancelled>() ? "cancelled" : failure->what();
        const auto& result = std::get<std::string>(outcome);
        return result.empty() ? "nothing" : result;
    }

private:
    void add(const Words& words) {
        for (auto action = words.begin() + 1; action != words.end(); ++action)
            if (std::ranges::find(actions, *action) == actions.end())
                throw std::invalid_argument("there is no action \"" + *action + "\": try help");
        const std::string& verb = words.front();
        const std::size_t number = links_.size() + 1;
        links_.push_back({.callback = verb == "eb" ? "" : words[1],
                          .errback = verb == "cb" ? "" : words.back(),
                          .came = {}});

        // A link of our own in front of theirs sees what comes to theirs.
        chain_.add_both([this, number](const Outcome& outcome) {
            links_[number - 1].came = outcome;
            return outcome;
        });
        const auto run = [this, number](const Outcome& came) { return answer(number, came); };
        if (verb == "cb") chain_.add_callback(run);
        if (verb == "eb") chain_.add_errback(run);
        if (verb == "both") chain_.add_both(run);
        if (verb == "pair") chain_.add_callbacks(run, run);
    }

    Answer answer(std::size_t number, const Outcome& came) {
        const auto& link = links_[number - 1];
        const std::string& action = is_failure(came) ? link.errback : link.callback;
        const std::string name = std::to_string(number);
        events_.push_back(name + (is_failure(came) ? " eb " : " cb ") + spelled(came));
        const Deferred<std::string> other;
        if (action == "ok" || action == "recover") return "from " + name;
        if (action == "keep") return came;
        if (action == "none") return "";
        if (action == "raise") throw std::runtime_error("raised by " + name);
        if (action == "fail") return Failure(std::runtime_error("failed by " + name));
        if (action == "defer") others_.emplace(name, other);
        if (action == "done") other.callback("from " + name);
        if (action == "broken") other.errback(Failure(std::runtime_error("broken by " + name)));
        return other;
    }

    // `callback` alone is for the chain, `callback 2` for the Deferred that link 2 has returned.
    void fire(const Words& words) {
        auto target = chain_;
        std::string name;
        if (words.size() == 2) {
            const auto other = others_.find(words[1]);
            if (other == others_.end())
                throw std::invalid_argument("link " + words[1] + " has not returned a Deferred");
            target = other->second;
            name = ' ' + words[1];
        }
        if (words.front() == "callback") target.callback("start" + name);
        if (words.front() == "errback")
            target.errback(Failure(std::runtime_error("trouble" + name)));
        if (words.front() == "cancel") target.cancel();
    }

    std::vector<Link> links_;
    std::vector<std::string> events_;
    std::map<std::string, Deferred<std::string>> others_; // by the number of who returned them
    Deferred<std::string> chain_;
};
