// What all callers of the hotline share: the counter, and the talk between them.
#pragma once

#include "house.hpp"
#include "switchboard.hpp"

#include <cstdint>
#include <string_view>

// In one thread this needs no lock. But who hears a line has something to say now, and nothing has
// happened on their connection: so everybody is called, a little later, when the speaker has finished.
class Talk final : public Switchboard {
public:
    explicit Talk(House& house) : house_(house) {}

    void join(Member& member) override { members_.join(member); }
    void leave(Member& member) override { members_.leave(member); }
    std::uint64_t count() override { return members_.count(); }

    void say(const Member& speaker, std::string_view line) override {
        members_.say(speaker, line);
        if (heard_) return;
        house_.clock().call_later(Delay::zero(), [this] {
            heard_ = false;
            house_.call_everybody();
        });
        heard_ = true;
    }

private:
    House& house_;
    PlainSwitchboard members_;
    bool heard_ = false;
};
