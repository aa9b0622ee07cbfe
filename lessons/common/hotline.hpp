// Given: the hotline, the service of every lesson. docs/protocol.md is its specification.
//
// Here is what one caller is told, verb by verb. How bytes become lines, and how memory stays
// bounded, is the Conversation's; what all callers share is the Switchboard's.
#pragma once

#include "conversation.hpp"
#include "setting.hpp"
#include "switchboard.hpp"

#include <algorithm>
#include <array>
#include <utility>

class Hotline final : public Conversation, private Member {
public:
    Hotline(Setting setting, Switchboard& switchboard)
        : setting_(std::move(setting)), switchboard_(switchboard) {
        reply("Welcome to 10086, " + setting_.model + ", pid " + std::to_string(setting_.pid) +
              ", thread " + setting_.thread);
        switchboard_.join(*this);
    }
    ~Hotline() override { switchboard_.leave(*this); }

private:
    struct Verb {
        std::string_view name;
        bool alone; // or else a text may stand behind it
        void (Hotline::*answer)(std::string_view text);
    };
    static const std::array<Verb, 12> verbs;

    void answer(std::string_view line) override {
        auto [name, text] = split(line);
        if (upper_case(name) == "EXIT") name = "exit";
        const auto* const verb = std::ranges::find(verbs, name, &Verb::name);
        if (verb == verbs.end() || (verb->alone && text)) return unknown();
        (this->*verb->answer)(text.value_or(""));
    }

    void zero(std::string_view) { reply("0000"); }
    void exit(std::string_view) { hang_up(); }
    void unknown() { reply("Do it again"); }

    void echo(std::string_view text) { reply(text); }
    void upper(std::string_view text) { reply(upper_case(text)); }

    void time(std::string_view) { reply(setting_.date()); }
    void who(std::string_view) {
        reply("pid " + std::to_string(setting_.pid) + " thread " + setting_.thread +
              " descriptor " + std::to_string(setting_.descriptor));
    }

    // `ok` follows when the server says that we woke.
    void sleep(std::string_view text) {
        const auto time = number(text, 60'000);
        if (!time) return unknown();
        nap_for(std::chrono::milliseconds(*time));
    }

    void big(std::string_view text) {
        const auto size = number(text, largest_transfer);
        if (!size) return unknown();
        give(*size);
    }
    void sink(std::string_view text) {
        const auto size = number(text, largest_transfer);
        if (!size) return unknown();
        take(*size);
    }

    void count(std::string_view) { reply(std::to_string(switchboard_.count())); }
    void say(std::string_view text) {
        switchboard_.say(*this, setting_.address + ": " + std::string(text));
        reply("said");
    }
    void hear(std::string_view line) override { tell(line); }

    void crash(std::string_view) {
        hang_up();
        setting_.crash();
    }

    const Setting setting_;
    Switchboard& switchboard_;
};

inline constexpr std::array<Hotline::Verb, 12> Hotline::verbs{{
    {"0", true, &Hotline::zero},
    {"exit", true, &Hotline::exit},
    {"echo", false, &Hotline::echo},
    {"upper", false, &Hotline::upper},
    {"time", true, &Hotline::time},
    {"who", true, &Hotline::who},
    {"sleep", false, &Hotline::sleep},
    {"big", false, &Hotline::big},
    {"sink", false, &Hotline::sink},
    {"count", true, &Hotline::count},
    {"say", false, &Hotline::say},
    {"crash", true, &Hotline::crash},
}};
