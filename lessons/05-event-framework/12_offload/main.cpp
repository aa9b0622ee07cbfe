// 05 event framework, step 12: work that waits goes elsewhere.
//
// Idea     Some calls wait, and nobody has made another one: to ask for an address, to read a file,
//          to use a library of somebody else. A thread makes the call, and the result comes back to
//          the loop as a Deferred.
// Run it   ./lab run 05/12    and then
//          printf 'sleep 2000\nlookup localhost\ncount\n' | nc 127.0.0.1 PORT
// See      The count comes first, the address next, and after two seconds the sleep is over. Ask
//          for five sleeps: four threads have four of them, and the fifth waits.
// Was      A Deferred makes nothing asynchronous: whoever fires it must not have waited for it in
//          the loop.
// Broken   We wait for callers, and never call. To call is to wait, too: for somebody who answers.
// New      defer_to_thread.hpp, resolve.hpp, thread_pool.hpp

#include "cancelled.hpp"
#include "defer_to_thread.hpp"
#include "deferred.hpp"
#include "event_loop.hpp"
#include "factory.hpp"
#include "failure.hpp"
#include "line_receiver.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "number.hpp"
#include "protocol.hpp"
#include "request.hpp"
#include "resolve.hpp"
#include "standard_streams.hpp"
#include "thread_pool.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

// What all callers share.
struct Office {
    EventLoop loop;
    ThreadPool pool{4, 100}; // After the loop: its threads end before the loop does.
    std::uint64_t count = 0;
};

// Answers each question when it can, not when its turn has come.
class Clerk final : public LineReceiver {
public:
    explicit Clerk(Office& office) : office_(office) {}

    // Who has gone wants no answers. The threads do not know that; but nobody is called any more.
    void connection_lost(const std::exception_ptr& /*reason*/) override {
        for (const auto& answer : owed_)
            answer.cancel();
    }

    // They say no more, but they are owed something.
    void eof_received() override {
        ended_ = true;
        leave_if_done();
    }

private:
    void line_received(std::string_view line) override {
        const auto [verb, text] = split(line);
        if (verb == "sleep") { // For a call that waits, whatever it waits for.
            const std::chrono::milliseconds time(number(text.value_or(""), 10'000).value_or(0));
            answer_later(line, [time] {
                std::this_thread::sleep_for(time);
                return std::string("ok");
            });
        } else if (verb == "lookup") {
            const std::string name(text.value_or(""));
            answer_later(line, [name] { return to_text(resolve(name, 0)); });
        } else if (line == "count") {
            transport().write("count: " + std::to_string(++office_.count) + '\n');
        } else {
            transport().write("Do it again\n");
        }
    }

    // Says the question again before its answer: another may have been quicker.
    void answer_later(std::string_view line, const std::function<std::string()>& work) {
        const std::string question(line);
        const auto answer = defer_to_thread(office_.loop, office_.pool, work);
        std::erase_if(owed_, [](const auto& earlier) { return earlier.fired(); });
        owed_.push_back(answer);
        answer.add_errback([](const Failure& failure) {
            if (failure.is<Cancelled>()) failure.raise();
            return "sorry, " + failure.what();
        });
        answer.add_callback([this, question](const std::string& text) {
            transport().write(question + ": " + text + '\n');
            leave_if_done();
        });
        answer.add_errback([](const Failure&) {}); // They are gone.
    }

    void leave_if_done() {
        const bool owes = std::ranges::any_of(owed_, [](const auto& one) { return !one.fired(); });
        if (ended_ && !owes) transport().lose_connection();
    }

    Office& office_;
    std::vector<Deferred<std::string>> owed_;
    bool ended_ = false;
};

class ClerkFactory final : public Factory {
public:
    explicit ClerkFactory(Office& office) : office_(office) {}

    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return std::make_unique<Clerk>(office_);
    }

private:
    Office& office_;
};

int main(int argc, char** argv) try {
    fill_standard_streams();
    const in_port_t port = port_from(argc, argv);
    Office office;
    ClerkFactory factory(office);
    office.loop.listen(factory, "127.0.0.1", port);
    office.loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
