// One counter for all callers, whether threads or processes serve them.
#pragma once

#include "check.hpp"
#include "switchboard.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

// The number lies in a mapping of its own, which fork() does not copy (lesson 04, step 9). What a
// caller says reaches nobody: a handler sleeps for its own caller, and has no ear for others.
class SharedCounter final : public Switchboard {
public:
    SharedCounter() {
        void* memory = ::mmap(nullptr, sizeof(Number), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) check(-1, "mmap");
        count_ = std::construct_at(static_cast<Number*>(memory));
    }
    ~SharedCounter() override { ::munmap(count_, sizeof(Number)); }

    void join(Member& /*member*/) override {}
    void leave(Member& /*member*/) override {}
    std::uint64_t count() override { return ++*count_; }
    void say(const Member& /*speaker*/, std::string_view /*line*/) override {}

private:
    using Number = std::atomic<std::uint64_t>;
    static_assert(Number::is_always_lock_free);
    Number* count_;
};
