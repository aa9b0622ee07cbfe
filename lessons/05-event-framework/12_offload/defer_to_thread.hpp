// Work that waits, done elsewhere. Its result comes back to the loop.
#pragma once

#include "deferred.hpp"
#include "failure.hpp"
#include "reactor.hpp"
#include "thread_pool.hpp"

#include <exception>
#include <functional>
#include <stdexcept>
#include <type_traits>
#include <utility>

// Calls `work` in a thread of the pool. What it returns or throws fires the Deferred, in the loop's
// thread: links may touch what they like. `work` may not: it sees only what it has copied. If the pool
// ends before `work` has begun, the Deferred fails. The loop must outlive the pool.
//
// A call that waits cannot be interrupted. Who cancels does not see the result; the thread is busy
// all the same, until the call comes back.
template <typename Work>
auto defer_to_thread(Reactor& loop, ThreadPool& pool, Work work) {
    using Result = std::invoke_result_t<Work&>;
    Deferred<Result> later;
    const bool accepted = pool.add([&loop, work, mine = later](bool ended) mutable {
        // Our handle goes with the result. If one stayed here, it might be the last, and the chain
        // would be destroyed in this thread.
        std::function<void()> fire;
        try {
            if (ended)
                throw std::runtime_error("the thread pool has ended, and this had not begun");
            auto result = work();
            fire = [later = std::move(mine), result = std::move(result)] {
                later.callback(result);
            };
        } catch (...) {
            fire = [later = std::move(mine), failure = Failure(std::current_exception())] {
                later.errback(failure);
            };
        }
        loop.post(std::move(fire));
    });
    if (!accepted)
        later.errback(Failure(std::runtime_error("too much to do: try again in a while")));
    return later;
}
