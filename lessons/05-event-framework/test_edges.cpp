// The proofs for the edges of the last step's classes: what comes once in a thousand iterations, and
// what nobody sends on purpose.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "event_loop.hpp"
#include "fake_clock.hpp"
#include "house.hpp"
#include "idle_watch.hpp"
#include "line_receiver.hpp"
#include "listen_on.hpp"
#include "memory_transport.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

extern bool no_memory; // no_memory.cpp: while it is true, operator new fails

namespace {

constexpr Delay for_ever = Delay::max();

// A loop in which time can pass while it does something else.
class LateLoop final : public EventLoop {
public:
    using EventLoop::EventLoop;
    Moment now() const override { return EventLoop::now() + late; }
    Delay late{};
};

class PlainFactory final : public Factory {
public:
    explicit PlainFactory(std::function<std::unique_ptr<Protocol>()> make)
        : make_(std::move(make)) {}
    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return make_();
    }

private:
    const std::function<std::unique_ptr<Protocol>()> make_;
};

// Does what it is told when the connection is made, and when it is lost.
class Told final : public Protocol {
public:
    std::function<void()> made = [] {};
    std::function<void()> lost = [] {};
    void connection_made(Transport& /*transport*/) override { made(); }
    void data_received(std::string_view /*bytes*/) override {}
    void connection_lost(const std::exception_ptr& /*reason*/) override { lost(); }
};

Fd connected_to(in_port_t port) {
    Fd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in address = address_of("127.0.0.1", port);
    check(::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
          "connect");
    return socket;
}

// While this lives, the process gets no more descriptors.
class NoDescriptors {
public:
    NoDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const Fd next(check(::dup(0), "dup"));
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(next.number());
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

void stop_if_it_hangs(EventLoop& loop, bool& hangs) {
    loop.call_later(20s, [&] {
        hangs = true;
        loop.stop();
    });
}

} // namespace

TEST_CASE("a port that closes in the iteration in which its pause is over") {
    for (const std::string poller : {"select", "poll", "epoll"}) {
        CAPTURE(poller);
        LateLoop loop(make_poller(poller));
        PlainFactory factory([] { return std::make_unique<Told>(); });
        ListeningPort& door = loop.listen(factory, "127.0.0.1", 0);
        const Fd client = connected_to(door.port());
        const NoDescriptors full;
        loop.call_later(0s, [&] { // accept() has failed by now: the port waits a second.
            loop.post([&] {
                door.stop_listening();
                loop.late = 2s;
            });
            loop.call_later(2100ms, [&] { loop.stop(); });
        });
        CHECK_NOTHROW(loop.run());
    }
}

TEST_CASE("a port that is closed in the middle of its work stays closed, whatever is asked") {
    LateLoop loop;
    bool hangs = false;
    stop_if_it_hangs(loop, hangs);
    ListeningPort* door = nullptr;
    int made = 0;
    PlainFactory factory([&] {
        auto protocol = std::make_unique<Told>();
        protocol->made = [&] {
            ++made;
            door->stop_listening();
            door->resume();
            door->stop_listening();
            loop.call_later(0s, [&] { loop.stop(); });
        };
        return protocol;
    });
    door = &loop.listen(factory, "127.0.0.1", 0);
    const Fd first = connected_to(door->port());
    const Fd second = connected_to(door->port());
    CHECK_NOTHROW(loop.run());
    CHECK(made == 1);
    CHECK(!hangs);
}

TEST_CASE("for ever is longer than everything else, and less than no time is now") {
    FakeClock clock;
    std::string order;
    clock.advance(1h); // now() is not 0: a sum with for_ever would be too large.
    clock.call_later(for_ever, [&] { order += "never "; });
    clock.call_later(1s, [&] { order += "second "; });
    clock.call_later(Delay::min(), [&] { order += "now "; });
    clock.advance(0s);
    CHECK(order == "now ");
    clock.advance(24h * 365 * 100);
    CHECK(order == "now second ");
    clock.advance(-1h);
    clock.call_later(0s, [&] { order += "late "; });
    clock.advance(0s);
    CHECK(order == "now second late ");

    EventLoop loop;
    bool hangs = false;
    stop_if_it_hangs(loop, hangs);
    loop.call_later(for_ever, [&] { order += "never "; });
    loop.call_later(1ms, [&] { loop.stop(); });
    loop.run();
    CHECK(!hangs);
    CHECK(order == "now second late ");
}

TEST_CASE("an idle timeout of for ever is one, and what is no time is refused") {
    using Seconds = std::chrono::duration<double>;
    FakeClock clock;
    clock.advance(1h);
    for (const double seconds : {1e10, 1e300, std::numeric_limits<double>::infinity()}) {
        const House house(clock, 0, Seconds(seconds));
        MemoryTransport transport;
        const IdleWatch watch(clock, transport, house.idle_timeout());
        clock.advance(24h * 365);
        CHECK(!transport.aborted());
    }
    for (const double seconds : {std::nan(""), -1.0, -1e300})
        CHECK_THROWS_AS(House(clock, 0, Seconds(seconds)), std::invalid_argument);
    CHECK(House(clock, 0, Seconds(1e-300)).idle_timeout() == 1ns);
    CHECK(House(clock, 0, Seconds(0)).idle_timeout() == 0ns);
}

TEST_CASE("no poller needs memory to say who is ready, nor moves its answer when somebody comes") {
    for (const std::string name : {"select", "poll", "epoll"}) {
        CAPTURE(name);
        const auto poller = make_poller(name);
        std::vector<Fd> ends;
        const auto add = [&] {
            ends.emplace_back(check(::eventfd(1, EFD_CLOEXEC), "eventfd")); // Readable at once.
            poller->set(ends.back().number(), {}, {.reading = true});
        };
        for (int i = 0; i < 100; ++i)
            add();
        std::size_t count = 0;
        no_memory = true;
        try {
            count = poller->wait(0us).size();
        } catch (const std::bad_alloc&) {
        }
        no_memory = false;
        CHECK(count == 100);
        const auto answer = poller->wait(0us);
        const int first = answer.front().number;
        for (int i = 0; i < 300; ++i)
            add();
        CHECK(answer.front().number == first);
        CHECK(poller->wait(0us).size() == 400);
    }
}

TEST_CASE("what is no std::exception ends its own connection, and no other") {
    for (const std::string where : {"build", "made", "lost"}) {
        CAPTURE(where);
        EventLoop loop;
        bool hangs = false;
        stop_if_it_hangs(loop, hangs);
        int served = 0;
        int asked = 0;
        PlainFactory factory([&] {
            const bool first = ++asked == 1;
            if (first && where == "build") throw 42;
            auto protocol = std::make_unique<Told>();
            if (first && where == "made") protocol->made = [] { throw 42; };
            if (first && where == "lost") protocol->lost = [] { throw 42; };
            if (!first) protocol->made = [&] { loop.stop(), ++served; };
            return protocol;
        });
        const in_port_t port = loop.listen(factory, "127.0.0.1", 0).port();
        connected_to(port); // It is gone at once.
        Fd second;
        loop.call_later(10ms, [&] { second = connected_to(port); });
        CHECK_NOTHROW(loop.run());
        CHECK(served == 1);
        CHECK(!hangs);
    }
}

TEST_CASE("who pauses and resumes in each line gets them all, and no deeper stack for each") {
    class Hasty final : public LineReceiver {
    public:
        int lines = 0;
        int inside = 0;
        int deepest = 0;

    private:
        void line_received(std::string_view /*line*/) override {
            ++lines;
            deepest = std::max(deepest, ++inside);
            pause_lines();
            resume_lines();
            --inside;
        }
    };
    MemoryTransport transport;
    Hasty hasty;
    hasty.make_connection(transport);
    std::string text;
    for (int i = 0; i < 32768; ++i)
        text += "a\n";
    hasty.data_received(text);
    CHECK(hasty.lines == 32768);
    CHECK(hasty.deepest == 1);
    hasty.data_received("b\n");
    CHECK(hasty.lines == 32769);
}

TEST_CASE("many that have ended are destroyed with their loop, on a flat stack") {
    class Silent final : public Watcher {
    public:
        using Watcher::Watcher;
        void readable() override {}
    };
    EventLoop loop;
    for (int i = 0; i < 200'000; ++i) {
        auto watcher = std::make_unique<Silent>(Fd(check(::dup(0), "dup")));
        Silent& silent = *watcher;
        loop.watch(std::move(watcher), {}); // Nothing is asked of the kernel.
        loop.unwatch(silent);
    }
    CHECK(true); // And it goes.
}
