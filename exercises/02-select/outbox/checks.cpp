// The checks of exercise 02/outbox.
#include "exercise.hpp"

#include <doctest/doctest.h>

namespace {

// The server has the same one.
const std::string& book() {
    static const std::string text = [] {
        std::string book;
        for (int i = 0; book.size() < 1'000'000; ++i)
            book += std::to_string(i) + ' ';
        for (int i = 0; i < 3; ++i)
            book += book;
        return book;
    }();
    return text;
}

std::string repeated(int times, const std::string& text) {
    std::string all;
    for (int i = 0; i < times; ++i)
        all += text;
    return all;
}

// The first answer is more than the kernel takes for one connection.
const std::string question = "8000000\n100000\n";

std::string answer() {
    return book().substr(0, 8'000'000) + '\n' + book().substr(0, 100'000) + '\n';
}

Caller slow(Server& server, const std::string& name) {
    return server.call(name, {.receive_buffer = 262'144});
}

// They have asked for more than the kernel takes, and the server has begun to answer.
void ask_and_read_nothing(Caller& caller) {
    caller.send(question);
    caller.read_exactly(1);
    caller.stop_reading();
}

void expect_answer(Caller& caller) {
    caller.send("9\n");
    caller.expect("0 1 2 3 4\n");
}

} // namespace

TEST_CASE("short_answer") {
    Server server = start();
    Caller a = server.call("A");
    a.send("1");
    wait_until_asleep(server);
    a.send("1\n4\n0\n");
    a.expect("0 1 2 3 4 5\n0 1 \n\n");
}

TEST_CASE("long_answer") {
    Server server = start();
    Caller a = slow(server, "A");
    a.send(question);
    wait_until_asleep(server); // by now the kernel has taken all that it takes
    a.expect(answer());
}

TEST_CASE("slow_reader") {
    Server server = start();
    Caller a = slow(server, "A");
    ask_and_read_nothing(a);
    Caller b = server.call("B");
    expect_answer(b);
}

TEST_CASE("rest") {
    Server server = start();
    Caller a = slow(server, "A");
    ask_and_read_nothing(a);
    Caller b = server.call("B");
    expect_answer(b);
    expect_rest(server);
}

TEST_CASE("end_unread") {
    Server server = start();
    Caller a = slow(server, "A");
    ask_and_read_nothing(a);
    a.half_close();
    expect_rest(server);
}

TEST_CASE("last_words") {
    Server server = start();
    Caller a = slow(server, "A");
    a.send(question);
    a.half_close();
    wait_until_asleep(server);
    a.expect(answer());
    a.expect_end();
}

// As many questions as the server takes, and no answer read.
TEST_CASE("greedy") {
    Server server = start();
    Caller a = slow(server, "A");
    const std::size_t before = server.memory().resident;
    const std::string questions = repeated(10'000, "8000000\n");
    bool it_takes_more = true;
    for (std::size_t said = 0; it_takes_more && said < 100'000'000;) {
        const std::size_t more = a.send_some(questions);
        said += more;
        if (more > 0) continue;
        wait_until_asleep(server);
        it_takes_more = a.send_some("8") == 1;
        const std::size_t grown = server.memory().resident - before;
        if (grown > 40'000'000)
            server.fail(Outcome::limit_memory,
                        "for one caller who reads nothing the server keeps " +
                            std::to_string(grown >> 20) + " MB");
    }
}
