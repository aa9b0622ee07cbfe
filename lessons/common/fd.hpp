// Earned in lesson 01, step 4: an owner for every descriptor.
#pragma once

#include <unistd.h>

#include <utility>

// Owns one descriptor and closes it once. -1 means: owns none.
class Fd {
public:
    Fd() = default;
    explicit Fd(int number) : number_(number) {}
    Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    // No second try after EINTR: Linux has freed the number already (close(2)), and by now it may
    // belong to somebody else.
    ~Fd() {
        if (number_ != -1) ::close(number_);
    }

    int number() const { return number_; }

private:
    int number_ = -1;
};
