// What the classes of lesson 05 promise, without a server: the protocols talk to a string, and time
// passes when we say so.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "event_loop.hpp"
#include "fake_clock.hpp"
#include "hotline_protocol.hpp"
#include "house.hpp"
#include "line_receiver.hpp"
#include "memory_transport.hpp"
#include "pollers.hpp"
#include "socket_transport.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::pair<Fd, Fd> pair_of_sockets() {
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()),
          "socketpair");
    return {Fd(ends[0]), Fd(ends[1])};
}

// Writes down what happens to it.
class Diary final : public Protocol {
public:
    explicit Diary(std::string& text) : text_(text) {}
    void connection_made(Transport& transport) override {
        text_ += "made ";
        if (on_made) on_made(transport);
    }
    void data_received(std::string_view bytes) override {
        text_ += "data:" + std::string(bytes) + ' ';
        if (on_data) on_data(transport());
    }
    void eof_received() override {
        text_ += "eof ";
        Protocol::eof_received();
    }
    void pause_writing() override { text_ += "pause "; }
    void resume_writing() override { text_ += "resume "; }
    void connection_lost(const std::exception_ptr& reason) override {
        text_ += reason ? "lost:" + text_of(reason) + ' ' : "lost ";
        if (on_lost) on_lost();
    }

    std::function<void(Transport&)> on_made;
    std::function<void(Transport&)> on_data;
    std::function<void()> on_lost;

private:
    std::string& text_;
};

// A loop, a connection in it, and we at the other end.
struct Stage {
    explicit Stage(const std::string& poller = "epoll") : loop(make_poller(poller)) {
        auto [mine, theirs] = pair_of_sockets();
        us = std::move(mine);
        auto owned = std::make_unique<Diary>(text);
        diary = owned.get();
        diary->on_lost = [this] { loop.stop(); };
        auto connection = std::make_unique<SocketTransport>(loop, std::move(theirs), sockaddr_in{},
                                                            std::move(owned));
        transport = connection.get();
        loop.watch(std::move(connection), {.reading = true});
        loop.call_later(10s, [this] {
            text += "TOO LATE ";
            loop.stop();
        });
    }

    void say(std::string_view words) const {
        check(::send(us.number(), words.data(), words.size(), MSG_NOSIGNAL), "send");
    }

    std::string text;
    EventLoop loop;
    Fd us;
    Diary* diary = nullptr;
    SocketTransport* transport = nullptr;
};

// Puts each line into brackets.
class Collector final : public LineReceiver {
public:
    std::string lines;

private:
    void line_received(std::string_view line) override { lines += '[' + std::string(line) + ']'; }
};

} // namespace

TEST_CASE("two hours pass in no time, and calls come in their order") {
    FakeClock clock;
    std::string order;
    clock.call_later(2h, [&] { order += 'c'; });
    clock.call_later(1h, [&] { order += 'a'; });
    clock.call_later(1h, [&] { order += 'b'; }); // asked for later: made later
    Timer never = clock.call_later(90min, [&] { order += 'x'; });
    clock.advance(1h - 1ns);
    CHECK(order.empty());
    clock.advance(1ns);
    CHECK(order == "ab");
    never.cancel();
    never.cancel();
    clock.advance(1h);
    CHECK(order == "abc");
}

TEST_CASE("a call may cancel another that is due, cancel itself, and ask for more") {
    FakeClock clock;
    std::string order;
    Timer other;
    Timer self;
    self = clock.call_later(1s, [&] {
        order += 'a';
        other.cancel();
        self.cancel();
        clock.call_later(0s, [&] { order += 'c'; });
    });
    other = clock.call_later(1s, [&] { order += 'b'; });
    clock.advance(1s);
    CHECK(order == "ac");
}

TEST_CASE("a call without a delay lets the others in first") {
    EventLoop loop;
    int rounds = 0;
    std::function<void()> again = [&] {
        if (++rounds < 1000) loop.call_later(0s, again);
    };
    loop.call_later(0s, again);
    loop.post([&] {
        CHECK(rounds < 1000); // It was posted later, and did not have to wait for all of them.
        loop.stop();
    });
    loop.run();
}

TEST_CASE("post: from many threads, each call once, and in the loop's thread") {
    EventLoop loop;
    int calls = 0;
    const auto mine = std::this_thread::get_id();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 1000; ++j)
                loop.post([&] {
                    CHECK(std::this_thread::get_id() == mine);
                    if (++calls == 4000) loop.stop();
                });
        });
    loop.run();
    for (std::thread& thread : threads)
        thread.join();
    CHECK(calls == 4000);
}

TEST_CASE("from another thread everything but post() is refused") {
    Stage stage;
    const auto refused = [](const auto& call) {
        std::string why = "nothing was refused";
        std::thread([&] {
            try {
                call();
            } catch (const std::logic_error& error) {
                why = error.what();
            }
        }).join();
        return why;
    };
    CHECK(refused([&] { stage.loop.stop(); }) ==
          "stop() in a thread that is not the loop's: post() it to the loop");
    CHECK(refused([&] { stage.loop.call_later(0s, [] {}); }).starts_with("call_later()"));
    CHECK(refused([&] { stage.transport->write("x"); }).starts_with("write()"));
    CHECK(refused([&] { stage.transport->abort_connection(); }).starts_with("abort_connection()"));
    CHECK(refused([&] { stage.loop.run(); }).starts_with("run()"));
}

TEST_CASE("made, data, eof, lost: each in its time, the last one once") {
    for (const std::string poller : {"select", "poll", "epoll"}) {
        CAPTURE(poller);
        Stage stage(poller);
        stage.transport->begin();
        stage.say("hey");
        stage.diary->on_data = [&](Transport&) { stage.us = Fd(); };
        stage.loop.run();
        CHECK(stage.text == "made data:hey eof lost ");
    }
}

TEST_CASE("who ends it in the middle of a call is told later, once, and hears nothing more") {
    Stage stage;
    stage.diary->on_made = [&](Transport& transport) {
        transport.abort_connection();
        transport.abort_connection();
        transport.lose_connection();
        transport.write("into nothing");
        transport.pause_reading();
        transport.half_close();
        stage.text += "still here ";
    };
    stage.say("too late");
    stage.transport->begin();
    stage.loop.run();
    CHECK(stage.text == "made still here lost ");
}

TEST_CASE("what a protocol throws ends its own connection, with that reason") {
    Stage stage;
    stage.diary->on_data = [](Transport&) { throw std::runtime_error("a mistake of mine"); };
    stage.transport->begin();
    stage.say("hey");
    stage.loop.run();
    CHECK(stage.text == "made data:hey lost:a mistake of mine ");
}

TEST_CASE("lose_connection() says five million bytes, and then the end") {
    Stage stage;
    stage.transport->begin();
    const std::string much(5'000'000, 'x');
    stage.transport->write(much);
    stage.transport->lose_connection();
    std::size_t heard = 0;
    std::thread reader([&] {
        std::array<char, 65536> bytes{};
        for (const auto end = std::chrono::steady_clock::now() + 10s;
             std::chrono::steady_clock::now() < end;) {
            const auto count = ::recv(stage.us.number(), bytes.data(), bytes.size(), 0);
            if (count == 0) break;
            if (count > 0) heard += static_cast<std::size_t>(count);
        }
        stage.us = Fd();
    });
    stage.loop.run();
    reader.join();
    CHECK(heard == much.size());
    CHECK(stage.text == "made pause lost ");
}

TEST_CASE("above the high water mark it says stop, below the low one go, in turns") {
    Stage stage;
    stage.transport->begin();
    const std::string piece(Outbox::high_water, 'x');
    while (stage.transport->unsent() <= Outbox::high_water)
        stage.transport->write(piece);
    stage.transport->write(piece);
    CHECK(stage.text == "made pause ");
    std::thread reader([&] {
        std::array<char, 65536> bytes{};
        for (const auto end = std::chrono::steady_clock::now() + 10s;
             std::chrono::steady_clock::now() < end;)
            if (::recv(stage.us.number(), bytes.data(), bytes.size(), 0) == 0) break;
        stage.us = Fd();
    });
    std::function<void()> look = [&] {
        if (stage.transport->unsent() > 0)
            stage.loop.call_later(1ms, look);
        else
            stage.transport->lose_connection();
    };
    stage.loop.call_later(0s, look);
    stage.loop.run();
    reader.join();
    CHECK(stage.text == "made pause resume lost ");
}

TEST_CASE("who has paused reading hears nothing, not even the end, until they go on") {
    for (const std::string poller : {"select", "poll", "epoll"}) {
        CAPTURE(poller);
        Stage stage(poller);
        stage.transport->begin();
        stage.transport->pause_reading();
        stage.say("hey");
        stage.us = Fd();
        stage.loop.call_later(50ms, [&] {
            stage.text += "later ";
            stage.transport->resume_reading();
        });
        stage.loop.run();
        CHECK(stage.text == "made later data:hey eof lost ");
    }
}

TEST_CASE("half_close() ends our direction, and theirs goes on") {
    Stage stage;
    stage.transport->begin();
    stage.transport->write("bye");
    stage.transport->half_close();
    stage.transport->write("nobody hears this");
    std::array<char, 64> bytes{};
    CHECK(::recv(stage.us.number(), bytes.data(), bytes.size(), 0) == 3);
    CHECK(::recv(stage.us.number(), bytes.data(), bytes.size(), 0) == 0);
    stage.say("hey");
    stage.diary->on_data = [&](Transport&) { stage.us = Fd(); };
    stage.loop.run();
    CHECK(stage.text == "made data:hey eof lost ");
}

TEST_CASE(
    "a caller who is gone while we write: lost, with the reason, and not from inside write()") {
    Stage stage;
    stage.us = Fd();
    stage.diary->on_made = [&](Transport& transport) {
        transport.write("is anybody there?");
        stage.text += "written ";
    };
    stage.transport->begin();
    stage.loop.run();
    CHECK(stage.text == "made written lost:send: Broken pipe ");
}

TEST_CASE("one may end another in the same round") {
    for (const std::string poller : {"select", "poll", "epoll"}) {
        CAPTURE(poller);
        EventLoop loop(make_poller(poller));
        std::string text;
        std::array<SocketTransport*, 2> transports{};
        std::vector<Fd> ours;
        for (std::size_t i = 0; i < 2; ++i) {
            auto [mine, theirs] = pair_of_sockets();
            auto diary = std::make_unique<Diary>(text);
            diary->on_data = [&, i](Transport&) { transports[1 - i]->abort_connection(); };
            diary->on_lost = [&] { loop.stop(); };
            auto owned = std::make_unique<SocketTransport>(loop, std::move(theirs), sockaddr_in{},
                                                           std::move(diary));
            transports[i] = owned.get();
            loop.watch(std::move(owned), {.reading = true});
            transports[i]->begin();
            check(::send(mine.number(), "x", 1, 0), "send");
            ours.push_back(std::move(mine));
        }
        loop.run();
        CHECK(text == "made made data:x lost lost ");
    }
}

TEST_CASE("at the end of the program: those who have something to say have until the deadline") {
    Stage stage;
    stage.transport->begin();
    stage.transport->write(std::string(5'000'000, 'x')); // Nobody reads it.
    stage.loop.wind_up(50ms);
    stage.loop.run();
    CHECK(stage.text == "made pause lost ");
}

TEST_CASE("lines, whatever the pieces") {
    const std::string text = "one\r\n\ntwo three\nfour";
    std::size_t right = 0; // cuts
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        MemoryTransport transport;
        Collector collector;
        collector.make_connection(transport);
        collector.data_received(text.substr(0, cut));
        collector.data_received(text.substr(cut));
        if (collector.lines == "[one][][two three]") ++right;
    }
    CHECK(right == text.size() + 1);
}

TEST_CASE("the hotline without a network: naps, deadlines, and what one says to the others") {
    FakeClock clock;
    House house(clock, 0, 10s);
    Talk talk(house);
    MemoryTransport line_a;
    MemoryTransport line_b;
    HotlineProtocol a(house, talk);
    HotlineProtocol b(house, talk);
    a.make_connection(line_a);
    b.make_connection(line_b);
    CHECK(line_a.take().starts_with("Welcome to 10086, event, pid "));
    line_b.take();

    a.data_received("sleep 60000\necho awake\n");
    b.data_received("say hello\n");
    CHECK(line_b.take() == "said\n");
    clock.advance(9s); // Who sleeps is not idle, and b has asked 9 seconds ago.
    b.data_received("0\n");
    CHECK(line_b.take() == "0000\n");
    clock.advance(9s);
    CHECK(!line_b.aborted());
    clock.advance(1s);
    CHECK(line_b.aborted());
    CHECK(line_a.take().empty());
    clock.advance(41s);
    CHECK(line_a.take() == "ok\n127.0.0.1:10086: hello\nawake\n");
    clock.advance(10s);
    CHECK(line_a.aborted());
    b.connection_lost(nullptr);
    a.connection_lost(nullptr);
}
