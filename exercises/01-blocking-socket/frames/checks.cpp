// The checks of exercise 01/frames.
#include "exercise.hpp"

#include <doctest/doctest.h>

namespace {

std::string frame(const std::string& bytes) {
    const std::size_t size = bytes.size();
    return std::string{static_cast<char>(size >> 8), static_cast<char>(size & 0xff)} + bytes;
}

std::string reversed(const std::string& bytes) {
    return {bytes.rbegin(), bytes.rend()};
}

// No byte like the one before it, so that an answer that is shifted is wrong.
std::string letters(std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i)
        bytes += static_cast<char>('a' + i % 23);
    return bytes;
}

} // namespace

TEST_CASE("one_frame") {
    Server server = start();
    Caller a = server.call("A");
    a.send(frame("hello"));
    a.expect(frame("olleh"));
    a.send(frame("once more"));
    a.expect(frame("erom ecno"));
}

TEST_CASE("byte_by_byte") {
    Server server = start();
    Caller a = server.call("A");
    const std::string bytes = letters(200); // its size is c8, which is negative in a signed char
    const std::string all = frame(bytes);
    for (std::size_t i = 0; i < 8; ++i) {
        a.send(all.substr(i, 1));
        wait_until_asleep(server); // so that it has the byte before the next one comes
    }
    a.send(all.substr(8));
    a.expect(frame(reversed(bytes)));
}

TEST_CASE("three_in_one") {
    Server server = start();
    Caller a = server.call("A");
    a.send(frame("one") + frame("two") + frame("three"));
    a.expect(frame("eno") + frame("owt") + frame("eerht"));
}

TEST_CASE("empty_frame") {
    Server server = start();
    Caller a = server.call("A");
    a.send(frame("") + frame("next"));
    a.expect(frame("") + frame("txen"));
}

TEST_CASE("biggest_frame") {
    Server server = start();
    Caller a = server.call("A");
    const std::string bytes = letters(65'535);
    a.send(frame(bytes));
    a.expect(frame(reversed(bytes)));
}

TEST_CASE("cut_short") {
    Server server = start();
    Caller a = server.call("A");
    a.send(frame("hello").substr(0, 5));
    a.half_close();
    a.expect_end();
}
