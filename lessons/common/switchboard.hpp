// Given: what all callers of the hotline share, the counter and the talk between them.
//
// This one is for a server in which one thread serves everybody. Where several threads or processes
// do, this is the part that changes: lesson 03 puts a lock around it, lesson 04 needs shared memory.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

// A caller as the others see it.
class Member {
public:
    Member() = default;
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    // Somebody else has said this line (it comes without a newline).
    virtual void hear(std::string_view line) = 0;

protected:
    ~Member() = default; // a switchboard knows its members, it does not own them
};

class Switchboard {
public:
    Switchboard() = default;
    Switchboard(const Switchboard&) = delete;
    Switchboard& operator=(const Switchboard&) = delete;
    virtual ~Switchboard() = default;

    virtual void join(Member& member) = 0;
    virtual void leave(Member& member) = 0;

    // The next number: 1, 2, 3 ...
    virtual std::uint64_t count() = 0;

    // All members but the speaker hear the line.
    virtual void say(const Member& speaker, std::string_view line) = 0;
};

class PlainSwitchboard final : public Switchboard {
public:
    void join(Member& member) override { members_.push_back(&member); }
    void leave(Member& member) override { std::erase(members_, &member); }
    std::uint64_t count() override { return ++count_; }

    void say(const Member& speaker, std::string_view line) override {
        for (Member* member : members_)
            if (member != &speaker) member->hear(line);
    }

private:
    std::vector<Member*> members_;
    std::uint64_t count_ = 0;
};
