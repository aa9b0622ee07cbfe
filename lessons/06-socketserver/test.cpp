// The proofs of lesson 06. A case named "step N: ..." passes on step N and fails on step N - 1.
#include "step.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

Caller shouted_at(Server& server, const std::string& name) {
    Caller caller = server.call(name);
    caller.expect("Say it, I shout it\n");
    return caller;
}

} // namespace

TEST_CASE("step 1: one letter, none, and then all until shutdown()") {
    Server server = step(1, ServerOptions{.ready = Ready::at_once});
    CHECK(server.wait_exit() == 0);
    CHECK(server.out() == "no letter\na letter: hello\na letter: how are you\n"
                          "a letter: the last one\nserve_forever() has returned\n");
}

TEST_CASE("step 2: a connection goes through the stations, in Python's order") {
    Server server = step(2);
    for (const std::string before :
         {"server_bind\nserver_activate\n", "shutdown_request\nclose_request\n"}) {
        Caller caller = server.call("A");
        caller.expect(before + "get_request\nverify_request\nprocess_request\nfinish_request\n");
        caller.expect_end();
    }
}

TEST_CASE("step 3: setup, handle, finish, also when handle() throws; and the next is served") {
    Server server = step(3);
    const std::string stations = "setup\nhandle\nfinish\n";
    Caller thrower = server.call("thrower");
    thrower.send("throw\n");
    thrower.expect_end();
    CHECK(server.log().starts_with(stations + "lost a caller, 127.0.0.1:"));
    Caller caller = server.call("A");
    caller.send("hello\n");
    caller.expect("HELLO\n");
    caller.expect_end();
    CHECK(server.log().ends_with("asked to throw\n" + stations));
}

TEST_CASE("step 3: a constructor calls the handle() of its own class") {
    Server server = step(3, {"eager"}, ServerOptions{.ready = Ready::at_once});
    CHECK(server.wait_exit() == 0);
    CHECK(server.out() == "called by the constructor: EagerBase::handle\n"
                          "called after it: EagerHandler::handle\n");
}

TEST_CASE("step 4: many lines, in whatever pieces they come, until they exit") {
    Server server = step(4);
    Caller caller = shouted_at(server, "A");
    for (const char byte : std::string("hello\n"))
        caller.send({&byte, 1});
    caller.expect("HELLO\n");
    caller.send("one\ntwo\nexit\n");
    caller.expect("ONE\nTWO\n");
    caller.expect_end();
    Caller leaver = shouted_at(server, "B");
    leaver.send("unfinished");
    leaver.half_close();
    leaver.expect("UNFINISHED");
    leaver.expect_end();
}

TEST_CASE("step 4: nobody is answered while another is on the line") {
    Server server = step(4);
    Caller first = shouted_at(server, "first");
    Caller second = server.call("second");
    second.send("hello\n");
    second.expect_silence(200ms);
    first.close();
    second.expect("Say it, I shout it\nHELLO\n");
}

TEST_CASE("step 7: all at once, each by a thread of its own, and nothing is left of them") {
    Server server = step(7);
    const Counts before = server.counts();
    std::vector<Caller> callers;
    std::vector<std::string> threads;
    for (int i = 0; i < 3; ++i) {
        callers.push_back(shouted_at(server, std::to_string(i)));
        callers.back().send("who\n");
        threads.push_back(callers.back().expect_line_like("thread *"));
    }
    CHECK(threads[0] != threads[1]);
    CHECK(threads[1] != threads[2]);
    CHECK(server.threads() == before.threads + 3);
    callers.clear();
    server.settle(before);
}
