// HTTP without a network: what step 14 reads, in whatever pieces it comes.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "http_reader.hpp"
#include "url.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t most = 100;

// What comes of an answer, if it comes in these two pieces: "200 body", or what is wrong with it.
std::string read_in_two(std::string_view answer, std::size_t cut) try {
    HttpReader reader(most);
    reader.receive(answer.substr(0, cut));
    reader.receive(answer.substr(cut));
    reader.end_of_input();
    const Page page = reader.take();
    return std::to_string(page.status) + ' ' + page.body;
} catch (const std::runtime_error& error) {
    return error.what();
}

// However it is cut, it means the same.
std::string read(std::string_view answer) {
    auto whole = read_in_two(answer, answer.size());
    for (std::size_t cut = 0; cut < answer.size(); ++cut)
        if (read_in_two(answer, cut) != whole) return "other when cut at " + std::to_string(cut);
    return whole;
}

const std::string ok = "HTTP/1.1 200 OK\r\n";
const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";

std::string refusal(std::string_view url) try {
    url_from(url);
    return "taken";
} catch (const std::invalid_argument& error) {
    return error.what();
}

} // namespace

TEST_CASE("an answer ends after so many bytes, behind the last chunk, or with the connection") {
    CHECK(read(ok + "Content-Length: 5\r\n\r\nhello") == "200 hello");
    CHECK(read(ok + "Content-Length: 0\r\n\r\n") == "200 ");
    CHECK(read(ok + "\r\nhello") == "200 hello");
    CHECK(read(ok + "\r\n") == "200 ");
    CHECK(read(chunked + "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n") == "200 hello");
    CHECK(read(chunked + "A\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\n") == "200 0123456789");
}

TEST_CASE("what an answer may look like") {
    CHECK(read("HTTP/1.0 404 Not Found\nContent-length:5  \n\nsorry") == "404 sorry");
    CHECK(read("HTTP/1.1 200\r\nCONTENT-LENGTH: 1\r\n\r\nx") == "200 x");
    CHECK(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + ok +
               "Content-Length: 2\r\n\r\nhi") == "200 hi");
    CHECK(read("HTTP/1.1 204 No Content\r\n\r\n") == "204 ");
    CHECK(read("HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n") == "304 ");
    CHECK(read(ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi") == "200 hi");
    CHECK(read(ok + "Content-Length: 2\r\n\r\nhi, and more than that") == "200 hi");
    CHECK(read(ok + "Transfer-Encoding: Chunked\r\nContent-Length: 50\r\n\r\n0\r\n\r\n") == "200 ");
    CHECK(read(ok + "Long: " + std::string(5000, 'x') + "\r\nContent-Length: 1\r\n\r\nx") ==
          "200 x");
}

TEST_CASE("the first line: a reason may be missing, and an unknown status is a status") {
    const std::string rest = "\r\nContent-Length: 1\r\n\r\nx";
    CHECK(read("HTTP/1.1 200" + rest) == "200 x");
    CHECK(read("HTTP/1.1 200 " + rest) == "200 x");
    CHECK(read("HTTP/1.1 200 a b \xff" + rest) == "200 x");
    CHECK(read("HTTP/1.7 299 Odd" + rest) == "299 x");
    CHECK(read("HTTP/1.1 700 Odder" + rest) == "700 x");
    for (const auto* const line : {"HTTP/1.1 0200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK",
                                   "HTTP/1.x 200 OK", "HTTP/1.10 200 OK", "HTTP/2.0 200 OK",
                                   "http/1.1 200 OK", "HTTP/1.1  200 OK", " HTTP/1.1 200 OK", ""})
        CHECK(read(line + rest) == "this is not HTTP: the first line is no status line");
}

TEST_CASE("a folded header is one header, wherever it is folded") {
    CHECK(read(ok + "A: b\r\n folded\r\n\tand again\r\nContent-Length: 1\r\n\r\nxy") == "200 x");
    CHECK(read(ok + "Content-Length:\r\n 1\r\n\r\nxy") == "200 x");
    CHECK(read(ok + "Transfer-Encoding:\n\t chunked\n\n1\nx\n0\n\n") == "200 x");
    CHECK(read(ok + "A: b\r\n \r\nContent-Length: 1\r\n\r\nxy") == "200 x"); // not the end
    // What is folded is a value: this is no second length, and the other none at all.
    CHECK(read(ok + "A: b\r\n Content-Length: 9\r\nContent-Length: 1\r\n\r\nxy") == "200 x");
    CHECK(read(ok + "Content-Length: 1\r\n 2\r\n\r\nxy") ==
          "this is not HTTP: a Content-Length that says nothing");
    for (const auto* const fold : {" A: b", "\tA: b", " "}) // There is nothing to go on with.
        CHECK(read(ok + fold + "\r\nContent-Length: 1\r\n\r\nx") ==
              "this is not HTTP: a header without a name");
}

TEST_CASE("a length may be said twice; chunks go before it; some answers have no page at all") {
    CHECK(read(ok + "Content-Length: 2, 2 ,2\r\nContent-Length: 2\r\n\r\nhi") == "200 hi");
    CHECK(read(ok + "Content-Length : 2\r\n\r\nhim") == "200 hi"); // RFC 9112, 5.1: taken away
    const std::string too_much = "Content-Length: 5000\r\n";
    for (const auto& fields :
         {too_much + "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n" + too_much})
        CHECK(read(ok + fields + "\r\n1\r\nx\r\n0\r\n\r\n") == "200 x");
    CHECK(read("HTTP/1.1 304 Not Modified\r\n" + too_much + "\r\n") == "304 ");
    CHECK(read("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n") == "204 ");
    CHECK(read("HTTP/1.1 103 Early\r\n" + too_much + "\r\n" + ok + "\r\nhi") == "200 hi");
}

TEST_CASE("chunks may have extensions, and trailers behind them") {
    CHECK(read(chunked + "1;a;b=c;d=\"e;f\"\r\nx\r\n0;last\r\n\r\n") == "200 x");
    CHECK(read(chunked + "1 ; a\r\nx\r\n1\t;a\r\ny\r\n1 \r\nz\r\n0\r\n\r\n") == "200 xyz");
    CHECK(read(chunked + "0001\nx\n0\n\n") == "200 x");
    const std::string trailers = "Content-Length: 50\r\nLong: " + std::string(5000, 'x') + "\r\n";
    CHECK(read(chunked + "1\r\nx\r\n0\r\n" + trailers + " folded\r\n\r\n") == "200 x");
    CHECK(read(chunked + "1 y\r\nx\r\n") == "this is not HTTP: a chunk without a size");
    CHECK(read(chunked + "1\r\nx0\r\n\r\n") == "this is not HTTP: a chunk is longer than it says");
}

TEST_CASE("what is no HTTP is said to be none") {
    CHECK(read("hello\r\n\r\n") == "this is not HTTP: the first line is no status line");
    CHECK(read("\r\n\r\n") == "this is not HTTP: the first line is no status line");
    CHECK(read("HTTP/2 200\r\n\r\n") == "this is not HTTP: the first line is no status line");
    CHECK(read("HTTP/1.1 20\r\n\r\n") == "this is not HTTP: the first line is no status line");
    CHECK(read("HTTP/1.1 abc\r\n\r\n") == "this is not HTTP: the first line is no status line");
    CHECK(read(ok + "no colon\r\n\r\n") == "this is not HTTP: a header without a name");
    CHECK(read(ok + ": no name\r\n\r\n") == "this is not HTTP: a header without a name");
    for (const auto& length :
         {"-1", "+1", "1x", "", "1, 2", "1,,1", "1,", "1\r1", "99999999999999999999"})
        CHECK(read(ok + "Content-Length: " + length + "\r\n\r\n") ==
              "this is not HTTP: a Content-Length that says nothing");
    CHECK(read(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nhi") ==
          "this is not HTTP: a Content-Length that says nothing");
    CHECK(read(ok + "Transfer-Encoding: gzip\r\n\r\n") ==
          "the page comes in a coding that we do not know");
    for (const auto& size : {"x", "-1", "", "0x5", "5y", "fffffffffffffffff"})
        CHECK(read(chunked + size + "\r\n") == "this is not HTTP: a chunk without a size");
    CHECK(read(chunked + "2\r\nhello\r\n") == "this is not HTTP: a chunk is longer than it says");
}

TEST_CASE("an answer that ends too early is no page") {
    for (const auto& start : {std::string(), std::string("HT"), ok, ok + "Content-Length: 2\r\n",
                              chunked, chunked + "0\r\n"})
        CHECK(read(start) == "the page ends too early: after 0 bytes");
    CHECK(read(ok + "Content-Length: 9\r\n\r\nhello") == "the page ends too early: after 5 bytes");
    CHECK(read(chunked + "5\r\nhello\r\n") == "the page ends too early: after 5 bytes");
}

TEST_CASE("whatever has no end of its own has a bound") {
    const std::string full(most, 'x');
    CHECK(read(ok + "\r\n" + full) == "200 " + full);
    CHECK(read(ok + "\r\n" + full + "x") == "the page is larger than 100 bytes");
    CHECK(read(ok + "Content-Length: 100\r\n\r\n" + full) == "200 " + full);
    CHECK(read(ok + "Content-Length: 101\r\n\r\n") == "the page is larger than 100 bytes");
    CHECK(read(chunked + "64\r\n" + full + "\r\n0\r\n\r\n") == "200 " + full);
    CHECK(read(chunked + "64\r\n" + full + "\r\n1\r\n") == "the page is larger than 100 bytes");
    CHECK(read(chunked + "ffffffffffffffff\r\n") == "the page is larger than 100 bytes");

    const auto too_long = [](const std::string& start, const std::string& again) {
        HttpReader reader(most);
        reader.receive(start);
        for (int i = 0; i < 100'000; ++i)
            reader.receive(again);
    };
    CHECK_THROWS_WITH(too_long("", "x"), "this is not HTTP: a head without an end");
    CHECK_THROWS_WITH(too_long(ok, "A: b\r\n"), "this is not HTTP: a head without an end");
    CHECK_THROWS_WITH(too_long("", "HTTP/1.1 100 Continue\r\n\r\n"),
                      "this is not HTTP: a head without an end");
    CHECK_THROWS_WITH(too_long(ok + "A: b\r\n", " folded\r\n"),
                      "this is not HTTP: a head without an end");
    CHECK_THROWS_WITH(too_long(chunked, "5"), "this is not HTTP: a line without an end");
    CHECK_THROWS_WITH(too_long(chunked + "0\r\n", "A: b\r\n"),
                      "this is not HTTP: trailers without an end");
}

TEST_CASE("a URL says where a page is") {
    const Url plain = url_from("http://example.org");
    CHECK(plain.host == "example.org");
    CHECK(plain.port == 80);
    CHECK(plain.path == "/");
    const Url full = url_from("http://127.0.0.1:8080/a/b?c=d#e");
    CHECK(full.host == "127.0.0.1");
    CHECK(full.port == 8080);
    CHECK(full.path == "/a/b?c=d");
    CHECK(url_from("http://host?q").path == "/?q");
}

TEST_CASE("what is no URL is refused, above all a line end") {
    CHECK(refusal("https://host/") == "no page at \"https://host/\": it must begin with http://");
    CHECK(refusal("http://host/a b").ends_with("plain letters without spaces"));
    CHECK(refusal("http://host/\r\nX: y").ends_with("plain letters without spaces"));
    CHECK(refusal("http://:80/").ends_with("it names no host"));
    CHECK(refusal("http://me@host/").ends_with("it names no host"));
    for (const auto& port : {"0", "65536", "-1", "x", ""})
        CHECK(refusal("http://host:" + std::string(port) + "/")
                  .ends_with("a port is a number from 1 to 65535"));
}
