// Whether somebody is in serve_forever(), and whether they are asked to leave it.
#pragma once

#include <atomic>
#include <stdexcept>
#include <thread>

class Shift {
public:
    // While it lives, somebody serves. By whatever way they leave, they have left.
    class OnDuty {
    public:
        explicit OnDuty(Shift& shift) : shift_(shift) {
            shift_.who_ = std::this_thread::get_id();
            shift_.is_on_ = true;
        }
        OnDuty(const OnDuty&) = delete;
        OnDuty& operator=(const OnDuty&) = delete;
        ~OnDuty() {
            shift_.who_ = std::thread::id();
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

    // Who serves cannot wait until they have left.
    void insist_on_another_thread() const {
        if (who_ == std::this_thread::get_id())
            throw std::logic_error(
                "shutdown() waits until serve_forever() has returned, and this is "
                "its own thread: call stop_soon()");
    }

    // Sleeps until nobody serves.
    void wait_for_end() const { is_on_.wait(true); }

private:
    std::atomic<bool> is_asked_ = false;
    std::atomic<bool> is_on_ = false;
    std::atomic<std::thread::id> who_;
};
