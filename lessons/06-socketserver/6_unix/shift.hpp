// Whether somebody is in serve_forever(), and whether they are asked to leave it.
#pragma once

#include <atomic>

class Shift {
public:
    // While it lives, somebody serves. By whatever way they leave, they have left.
    class OnDuty {
    public:
        explicit OnDuty(Shift& shift) : shift_(shift) { shift_.is_on_ = true; }
        OnDuty(const OnDuty&) = delete;
        OnDuty& operator=(const OnDuty&) = delete;
        ~OnDuty() {
            shift_.is_asked_ = false;
            shift_.is_on_ = false;
            shift_.is_on_.notify_all();
        }

    private:
        Shift& shift_;
    };

    // From any thread, also from a signal handler. Where nobody serves, it is for the next who
    // does.
    void ask_to_end() noexcept { is_asked_ = true; }
    bool is_to_end() const { return is_asked_; }

    // Sleeps until nobody serves.
    void wait_for_end() const { is_on_.wait(true); }

private:
    std::atomic<bool> is_asked_ = false;
    std::atomic<bool> is_on_ = false;
};
