// Whether a thread is in serve_forever(), and whether it is asked to leave.
#pragma once

#include <atomic>
#include <stdexcept>

class Shift {
public:
    // While it lives, its thread serves. It ends however the thread leaves, also with an exception.
    class OnDuty {
    public:
        // Throws std::logic_error where a thread serves already.
        explicit OnDuty(Shift& shift) : shift_(shift) {
            unsigned idle = shift_.changes_;
            if (idle % 2 == 1 || !shift_.changes_.compare_exchange_strong(idle, idle + 1))
                throw std::logic_error("serve_forever() is running already, and one thread at a "
                                       "time can serve: call shutdown() first");
        }
        OnDuty(const OnDuty&) = delete;
        OnDuty& operator=(const OnDuty&) = delete;
        ~OnDuty() {
            ++shift_.changes_;
            shift_.changes_.notify_all();
        }

    private:
        Shift& shift_;
    };

    // From any thread, also from a signal handler. It is for the serve_forever() that is running,
    // or else for the next one.
    void ask_to_stop() noexcept { is_asked_ = true; }

    // Is a stop asked for? Taking it withdraws it, so it ends one serve_forever(), and one that
    // comes later is not lost.
    bool take_stop() { return is_asked_.exchange(false); }

    // The number of the serve_forever() that is running, or else of the next one.
    unsigned number() const { return changes_ | 1; }

    // Sleeps until it has returned; not at all where it has not begun. It waits for a change, not
    // for a value: "nobody serves" may be over before a sleeper wakes to see it.
    void wait_for_end_of(unsigned number) const { changes_.wait(number); }

private:
    std::atomic<bool> is_asked_ = false;
    std::atomic<unsigned> changes_ = 0; // one at each begin and each end: odd while a thread serves
};
