// The proofs of step 12 for the end of a pool: what has begun is done, and nothing else begins.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "defer_to_thread.hpp"
#include "event_loop.hpp"
#include "thread_pool.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST_CASE("what has begun is done, what has not begun never does, and each Deferred says which") {
    EventLoop loop;
    std::optional<ThreadPool> pool(std::in_place, 4, 100);
    std::counting_semaphore<> begun(0);
    std::counting_semaphore<> go_on(0);
    std::atomic<int> began = 0;
    int fired = 0;
    std::vector<std::string> results(12, "nothing");
    for (std::size_t i = 0; i < results.size(); ++i)
        defer_to_thread(loop, *pool, [&] {
            ++began;
            begun.release();
            go_on.acquire();
            return std::string("done");
        }).add_errback([](const Failure& failure) {
              return failure.what();
          }).add_callback([&, i](const std::string& text) {
            results[i] = text;
            if (++fired == std::ssize(results)) loop.stop();
        });
    for (int i = 0; i < 4; ++i)
        begun.acquire();
    // The threads come free one after another, and later than the pool begins to end.
    std::thread key([&] {
        for (int i = 0; i < 12; ++i) {
            std::this_thread::sleep_for(20ms);
            go_on.release();
        }
    });
    pool.reset();
    key.join();
    CHECK(began == 4);
    loop.call_later(20s, [&] { loop.stop(); });
    loop.run();
    std::vector<std::string> right(12, "the thread pool has ended, and this had not begun");
    std::fill_n(right.begin(), 4, "done");
    CHECK(results == right);
}

TEST_CASE("work that asks for more work, while the pool ends, is refused") {
    bool refused = false;
    std::binary_semaphore begun(0);
    {
        ThreadPool pool(1, 100);
        pool.add([&](bool) {
            begun.release();
            while (pool.add([](bool) {}))
                std::this_thread::yield();
            refused = true;
        });
        begun.acquire();
    }
    CHECK(refused);
}
