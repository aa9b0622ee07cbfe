// What the checks of an exercise stand on: the learner's program, or the learner's answers.
//
//     TEST_CASE("one_line") {
//         Server server = start();
//         Caller a = server.call("A");
//         a.send("hello\n");
//         a.expect("olleh\n");
//     }
//
// A check is a test case whose name is one word; exercise.toml says what it means. Each runs in a
// process of its own, within limits. What is thrown is its outcome.
#pragma once

#include "caller.hpp"
#include "server.hpp"
#include "step.hpp"

#include <initializer_list>
#include <string>
#include <vector>

// The file under test: a program, or a page of answers. The same checks judge a learner's, ours,
// and one with a mistake in it.
const std::string& file_under_test();

// Starts the learner's program and waits until it says that it listens.
Server start(const std::vector<std::string>& arguments = {}, ServerOptions options = {});
Server start(const ServerOptions& options);

// Starts a learner's program that is no server; read what it says with wait_exit() and out().
Server start_program(const std::vector<std::string>& arguments = {});

// Waits until every thread of the server sleeps in a system call (or has ended), for two seconds at
// most. Then all that it was going to do by itself is done, and a signal finds it asleep.
void wait_until_asleep(const Server& server);

// Looks at the server for a moment in which it has nothing to do. Throws Unexpected, `cpu_spin`, where
// it works all the same.
void expect_rest(Server& server);

// So many bytes of this caller the server has not read yet: they lie in the kernel.
std::size_t unread_bytes(const Server& server, const Caller& caller);

// What the learner believes will happen. The page has lines `question: answer`.
class Guess {
public:
    // Throws Unexpected, `unanswered`, where nothing is written or what is written is no choice.
    Guess(const std::string& question, std::initializer_list<std::string> choices);

    // Holds the guess against what was seen of the server, and tells the story where they differ.
    void meets(const std::string& seen, Server& server) const;

private:
    std::string question_;
    std::string answer_;
};
