// A server's rules for its guests, and its door.
#pragma once

#include "clock.hpp"
#include "listening_port.hpp"

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <vector>

// Somebody who is in. The house can call all of them.
class Resident {
public:
    Resident() = default;
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;
    virtual ~Resident() = default;

    virtual void called() {}

private:
    friend class House;
    static constexpr auto nowhere = static_cast<std::size_t>(-1);
    std::size_t seat_ = nowhere;
};

// Who is in. While the house is full its door is shut, and whoever comes waits in the kernel's queue.
class House {
public:
    // At most so many at once, and so long may they do nothing. 0: no limit.
    House(Clock& clock, int most, std::chrono::duration<double> idle_timeout)
        : clock_(clock), most_(static_cast<std::size_t>(most)),
          idle_timeout_(delay_from(idle_timeout)) {}

    void open(ListeningPort& door) { door_ = &door; }
    void close() { door_ = nullptr; }

    void came(Resident& resident) {
        residents_.push_back(&resident); // May fail: then they never came.
        resident.seat_ = residents_.size() - 1;
        if (residents_.size() == most_ && door_ != nullptr) door_->pause();
    }

    // The last one moves to the free seat: nobody is looked for, nobody else moves.
    void left(const Resident& resident) {
        if (resident.seat_ == Resident::nowhere) return;
        if (residents_.size() == most_ && door_ != nullptr) door_->resume();
        residents_.back()->seat_ = resident.seat_;
        residents_[resident.seat_] = residents_.back();
        residents_.pop_back();
    }

    void call_everybody() const {
        for (Resident* resident : residents_)
            resident->called();
    }

    Clock& clock() const { return clock_; }
    Delay idle_timeout() const { return idle_timeout_; }

private:
    // More than a Delay can hold is for ever. Asked this way round, NaN is refused, too: it is neither
    // smaller nor larger.
    static Delay delay_from(std::chrono::duration<double> time) {
        if (!(time >= Delay::zero()))
            throw std::invalid_argument("an idle timeout is a number of seconds, 0 or more");
        return time >= Delay::max() ? Delay::max() : std::chrono::ceil<Delay>(time);
    }

    Clock& clock_;
    const std::size_t most_;
    const Delay idle_timeout_;
    ListeningPort* door_ = nullptr;
    std::vector<Resident*> residents_;
};
