// A descriptor, and what to do when it is ready.
#pragma once

#include "fd.hpp"

#include <memory>
#include <utility>

// What to wait for.
struct Interest {
    bool reading = false;
    bool writing = false;
    bool operator==(const Interest&) const = default;
};

// Derive from it, and say what is to be done. It is the handler of step 1, but it has a descriptor,
// and something must happen there before it is called.
class Watcher {
public:
    explicit Watcher(Fd descriptor) : descriptor_(std::move(descriptor)) {}
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    virtual ~Watcher() = default;

    const Fd& descriptor() const { return descriptor_; }
    int number() const { return descriptor_.number(); }

    // Ready is a hint (lesson 02, step 6): make one call that does not wait, and be ready for EAGAIN.
    virtual void readable() = 0;
    virtual void writable() {}

    // It is not watched any more, its descriptor is closed, and nobody else is in the middle of a
    // call: the last thing it does before it is destroyed.
    virtual void buried() {}

    // Its descriptor, for somebody else. Nothing is left here.
    Fd release() { return std::exchange(descriptor_, Fd()); }

private:
    friend class Graveyard;
    std::unique_ptr<Watcher> next_dead_;
    Fd descriptor_;
};
