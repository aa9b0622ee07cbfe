// HTTP without a network: what the file server of step 12 reads, decides and writes.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "answer.hpp"
#include "byte_range.hpp"
#include "conditions.hpp"
#include "folder_page.hpp"
#include "media_type.hpp"
#include "our_rules.hpp"
#include "path.hpp"
#include "read_head.hpp"
#include "request_head.hpp"
#include "validators.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace {

const std::string get = "GET / HTTP/1.1\r\n";
const std::string host = "Host: a\r\n";

// The heads in these bytes, each between < and >; then the status that refuses, if one does.
std::string heads_in(std::string_view bytes) {
    const auto next_line = [&bytes](std::size_t limit) {
        const auto end = std::min({bytes.find('\n'), bytes.size() - 1, limit - 1}) + 1;
        std::string line(bytes.substr(0, end));
        bytes.remove_prefix(line.size());
        return line;
    };
    std::string heads;
    try {
        while (const auto head = read_head(next_line))
            heads += '<' + *head + '>';
    } catch (const Refusal& refusal) {
        heads += std::to_string(refusal.status());
    }
    return heads;
}

// The status of a head: 200 where nothing is wrong with it.
int status_of(const std::string& text) try {
    check_our_rules(request_head_from(text));
    return 200;
} catch (const Refusal& refusal) {
    return refusal.status();
}

bool stays_open_after(const std::string& text) {
    return stays_open(request_head_from(text));
}

// A path, or the status that refuses it.
std::string path_of(std::string_view target) try {
    return path_from(target);
} catch (const Refusal& refusal) {
    return std::to_string(refusal.status());
}

// "206: 0+100", the status, the first byte, and how many
std::string part(std::uint64_t size, std::string_view range) {
    const Part found = part_of(size, range);
    return std::to_string(found.status) + ": " + std::to_string(found.first) + '+' +
           std::to_string(found.size);
}

} // namespace

TEST_CASE("a stream has one head after another, and perhaps empty lines between them") {
    CHECK(heads_in("GET / HTTP/1.1\r\nA: b\r\n\r\n") == "<GET / HTTP/1.1\r\nA: b\r\n>");
    CHECK(heads_in("GET / HTTP/1.0\n\n") == "<GET / HTTP/1.0\n>");
    CHECK(heads_in("one\r\n\r\ntwo\n\r\nthree\r\n\n") == "<one\r\n><two\n><three\r\n>");
    CHECK(heads_in("\r\n\n\r\none\r\n\r\n") == "<one\r\n>");
    CHECK(heads_in("").empty());
    for (const auto* const half : {"G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "\r", "\r\n"})
        CHECK(heads_in(half) == "400");
}

TEST_CASE("a head has a longest line and a longest size, and nobody waits for the end of more") {
    const std::string line(longest_request_line - 1, 'x');
    CHECK(heads_in(line + "\n\n") == '<' + line + "\n>");
    CHECK(heads_in(line + "x\n\n") == "414");
    CHECK(heads_in(line + "xx") == "414");
    CHECK(heads_in("a\n" + line + "xx") == "431");
    const std::string rest(longest_head - 2 * line.size() - 4, 'x');
    CHECK(heads_in(line + '\n' + line + '\n' + rest + "\n\n") ==
          '<' + line + '\n' + line + '\n' + rest + "\n>");
    CHECK(heads_in(line + '\n' + line + '\n' + rest + "x\n\n") == "431");
    CHECK(heads_in(std::string(longest_head + 1, '\n')) == "431");
}

TEST_CASE("a head is read: its method, its target, its fields") {
    const RequestHead head = request_head_from("HEAD /a%20b?c HTTP/1.1\r\nHOST:  a.example:80 \r\n"
                                               "Range:bytes=0-1\r\naccept: x\r\nAccept: y\r\n");
    CHECK(head.method == "HEAD");
    CHECK(head.target == "/a%20b?c");
    CHECK(head.is_1_1);
    CHECK(head.field("host") == "a.example:80");
    CHECK(head.field("range") == "bytes=0-1");
    CHECK(head.field("accept") == "x, y");
    CHECK(head.field("cookie").empty());
    CHECK(!request_head_from("GET / HTTP/1.0\n").is_1_1);
    CHECK(request_head_from("GET / HTTP/1.9\n").is_1_1);
}

TEST_CASE("what is no request is refused, not repaired") {
    for (const auto* const line :
         {"GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET / HTTP/1",
          "GET / http/1.1", "GET / HTTP/11", "GET / HTTP/1.10", "GET / HTTP/a.1", "GET / FTP/1.1",
          "GET\t/\tHTTP/1.1", "G(T / HTTP/1.1", "GET /\x01 HTTP/1.1", "GET /\x7f HTTP/1.1",
          "GET /\xc3\xa4 HTTP/1.1", "GET /a b HTTP/1.1", "GET / HTTP/1.1\r", "\x16\x03\x01"}) {
        CAPTURE(line);
        CHECK(status_of(std::string(line) + "\r\n" + host) == 400);
    }
    for (const auto* const field :
         {"Name", ": value", "Na me: value", "Name : value", " Name: value", "\tfolded", "N\x01: v",
          "Name: va\rlue", "Name: va\x7flue", "N\xc3\xa4me: value", "", "Name: value\r"}) {
        CAPTURE(field);
        CHECK(status_of(get + host + field + "\r\n") == 400);
    }
    CHECK(status_of(get + host + "Name: " + std::string("a\0b", 3) + "\r\n") == 400);
    CHECK(status_of(get + host + "Name: a\tb \xc3\xa4\r\nEmpty:\r\n") == 200);
    CHECK(status_of("GET / HTTP/2.0\r\n") == 505);
    CHECK(status_of("GET / HTTP/0.9\r\n") == 505);
}

TEST_CASE("HTTP/1.1 names one host, HTTP/1.0 need not") {
    CHECK(status_of(get + host) == 200);
    CHECK(status_of(get + "Host:\r\n") == 200);
    CHECK(status_of(get) == 400);
    CHECK(status_of(get + host + host) == 400);
    for (const auto* const good : {"a.example:80", "127.0.0.1", "[::1]:80", "[::1]", "a:", "a_b"})
        CHECK(status_of(get + "Host: " + good + "\r\n") == 200);
    for (const auto* const bad :
         {"a b", "a/b", "me@a", "a:b", "a?", "a#b", "\"a\"", "a, a", "[::1]:x"})
        CHECK(status_of(get + "Host: " + bad + "\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.0\r\n") == 200);
    CHECK(status_of("GET / HTTP/1.0\r\n" + host + host) == 400);
}

TEST_CASE("methods: those we know, those that others know, and those that nobody knows") {
    CHECK(status_of("HEAD / HTTP/1.1\r\n" + host) == 200);
    for (const auto* const method : {"POST", "PUT", "DELETE", "OPTIONS", "CONNECT"})
        CHECK(status_of(std::string(method) + " / HTTP/1.1\r\n" + host) == 405);
    for (const auto* const method : {"get", "Get", "GETS", "BREW"})
        CHECK(status_of(std::string(method) + " / HTTP/1.1\r\n" + host) == 501);
    CHECK(answer_to(Refusal(405, "")).fields.find("Allow: GET, HEAD\r\n") != std::string::npos);
}

TEST_CASE("a request without content is taken, and nobody can hide a second one in the first") {
    const auto with = [](const std::string& fields) { return status_of(get + host + fields); };
    CHECK(with("Content-Length: 0\r\n") == 200);
    CHECK(with("Content-Length: 000\r\n") == 200);
    CHECK(with("Content-Length: 5\r\n") == 413);
    CHECK(with("Content-Length: 99999999999999999999999\r\n") == 413);
    CHECK(with("Transfer-Encoding: chunked\r\n") == 413);
    CHECK(with("Transfer-Encoding: Chunked\r\n") == 413);
    for (const auto* const length : {"", "-1", "+1", "0x0", "5, 5", "0 0", "five"})
        CHECK(with("Content-Length: " + std::string(length) + "\r\n") == 400);
    CHECK(with("Content-Length: 0\r\nContent-Length: 5\r\n") == 400);
    CHECK(with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") == 400);
    CHECK(with("Transfer-Encoding: gzip, chunked\r\n") == 501);
    CHECK(status_of("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n") == 400);
    CHECK(with("Expect: 100-Continue\r\n") == 200);
    CHECK(with("Expect: miracles\r\n") == 417);
}

TEST_CASE("who keeps the connection open, and who does not") {
    CHECK(stays_open_after(get));
    CHECK(stays_open_after(get + "Connection: Keep-Alive\r\n"));
    CHECK(!stays_open_after(get + "Connection: Close\r\n"));
    CHECK(!stays_open_after(get + "Connection: te ,\tclose\r\n"));
    CHECK(stays_open_after(get + "Connection: closed\r\n"));
    CHECK(!stays_open_after("GET / HTTP/1.0\r\n"));
    CHECK(stays_open_after("GET / HTTP/1.0\r\nConnection: keep-alive\r\n"));
    CHECK(!stays_open_after("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n"));
}

TEST_CASE("a target is decoded once; slashes in front, query and host are taken away") {
    CHECK(path_of("/") == "");
    CHECK(path_of("/a%20b/c.html?d=/e%zz") == "a b/c.html");
    CHECK(path_of("/a/") == "a/");
    CHECK(path_of("//evil.example/") == "evil.example/");
    CHECK(path_of("/%2f%2fevil.example") == "evil.example");
    CHECK(path_of("/%2e%2E/etc") == "../etc"); // The kernel refuses it, not we.
    CHECK(path_of("/%252e") == "%2e");
    CHECK(path_of("http://a.example/b?c") == "b");
    CHECK(path_of("HTTP://a.example") == "");
    CHECK(path_of("http://a.example?b=/c") == "");
    CHECK(path_of("/%c3%A4") == "\xc3\xa4");
    for (const auto* const target :
         {"*", "a", "a:80", "ftp://a/b", "http:///b", "http://me@a/b", "?", "/%", "/%4", "/%4g",
          "/%+1", "/% 1", "/%-1", "/a#b", "/%00", "/a%00.html"}) {
        CAPTURE(target);
        CHECK(path_of(target) == "400");
    }
}

TEST_CASE("any name goes into a link and comes back as it was") {
    std::string every;
    for (int byte = 255; byte > 0; --byte)
        every += static_cast<char>(byte);
    CHECK(path_from("/" + encoded(every)) == every);
    CHECK(is_visible(encoded(every)));
    CHECK(encoded("a b/<c>\"&'") == "a%20b/%3Cc%3E%22%26%27");
}

TEST_CASE("ranges: a part, the rest, the end, and what is not there") {
    CHECK(part(1000, "") == "200: 0+1000");
    CHECK(part(1000, "bytes=0-99") == "206: 0+100");
    CHECK(part(1000, "Bytes = 0-99") == "200: 0+1000");
    CHECK(part(1000, "BYTES=0-0") == "206: 0+1");
    CHECK(part(1000, "bytes=900-") == "206: 900+100");
    CHECK(part(1000, "bytes=900-2000") == "206: 900+100");
    CHECK(part(1000, "bytes=999-999") == "206: 999+1");
    CHECK(part(1000, "bytes=-100") == "206: 900+100");
    CHECK(part(1000, "bytes=-5000") == "206: 0+1000");
    CHECK(part(1000, "bytes=1000-") == "416: 0+0");
    CHECK(part(1000, "bytes=-0") == "416: 0+0");
    CHECK(part(0, "bytes=0-") == "416: 0+0");
    CHECK(part(0, "bytes=-5") == "200: 0+0");
    const std::string huge = "99999999999999999999999";
    CHECK(part(1000, "bytes=5-" + huge) == "206: 5+995");
    CHECK(part(1000, "bytes=5-18446744073709551615") == "206: 5+995");
    CHECK(part(1000, "bytes=" + huge + "-") == "416: 0+0");
    CHECK(part(1000, "bytes=-" + huge) == "206: 0+1000");
}

TEST_CASE("a range that we do not understand is as good as none") {
    for (const auto* const range :
         {"bytes", "bytes=", "bytes=-", "bytes=5", "bytes=9-5", "bytes=a-b", "bytes=1-b",
          "bytes=1-+2", "bytes=--5", "bytes=1-2-3", "bytes=0-1,5-6", "bytes=0-1, bytes=5-6",
          "lines=0-9", "-5"}) {
        CAPTURE(range);
        CHECK(part(1000, range) == "200: 0+1000");
    }
}

TEST_CASE("an answer with a part says which part of how much") {
    CHECK(content_range(part_of(1000, "bytes=0-99"), 1000) == "bytes 0-99/1000");
    CHECK(content_range(part_of(1000, "bytes=1000-"), 1000) == "bytes */1000");
}

TEST_CASE("the type of a file is guessed from the end of its name") {
    CHECK(media_type("a/b.html") == "text/html; charset=utf-8");
    CHECK(media_type("PICTURE.PNG") == "image/png");
    CHECK(media_type("a.tar.svg") == "image/svg+xml");
    for (const auto* const path : {"html", ".", "", "a.html/b", "a.", "a.exe", "a.html~"}) {
        CAPTURE(path);
        CHECK(media_type(path) == "application/octet-stream");
    }
}

TEST_CASE("a name in a listing stays a name, whatever it is") {
    const std::string page =
        folder_page("a&b/", {"<script>x</script>", "javascript:x", "c d/", "\"q\""}, true);
    CHECK(page.find("<title>/a&amp;b/</title>") != std::string::npos);
    CHECK(page.find("<script>") == std::string::npos);
    CHECK(page.find("<a href=\"%3Cscript%3Ex%3C/script%3E\">&lt;script&gt;x") != std::string::npos);
    CHECK(page.find("<a href=\"javascript%3Ax\">javascript:x</a>") != std::string::npos);
    CHECK(page.find("<a href=\"c%20d/\">c d/</a>") != std::string::npos);
    CHECK(page.find("<a href=\"../\">") != std::string::npos);
    CHECK(page.find("There are more") == std::string::npos);
    CHECK(folder_page("", {}, true).find("../") == std::string::npos);
    CHECK(folder_page("", {}, false).find("There are more") != std::string::npos);
}

TEST_CASE("the head of an answer says where its content ends") {
    Answer answer = page(200, "hello", "text/plain");
    answer.validators = {.tag = "\"a\"", .modified = 784111776};
    CHECK(head_text(answer, 784111777) == "HTTP/1.1 200 OK\r\n"
                                          "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                          "ETag: \"a\"\r\n"
                                          "Last-Modified: Sun, 06 Nov 1994 08:49:36 GMT\r\n"
                                          "Content-Type: text/plain\r\n"
                                          "Content-Length: 5\r\n"
                                          "Connection: keep-alive\r\n\r\n");
    answer.validators = {.modified = 784111776}; // Without a tag we do not trust the date, either.
    answer.status = 304;
    answer.has_content = false;
    answer.stays_open = false;
    CHECK(head_text(answer, 0) == "HTTP/1.1 304 Not Modified\r\n"
                                  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Connection: close\r\n\r\n");
}

TEST_CASE("the tag of a copy, alone or among others; W/ is good enough for a copy only") {
    const std::string tag = "\"7-5-1.2\"";
    for (const auto& list :
         {tag, "\"a\", " + tag, tag + " ,W/\"a\"", "\"a,b\"," + tag, std::string("*")}) {
        CAPTURE(list);
        CHECK(names_tag(list, tag, Match::weak));
        CHECK(names_tag(list, tag, Match::strong));
    }
    CHECK(names_tag("\"a\", W/" + tag, tag, Match::weak));
    CHECK(!names_tag("\"a\", W/" + tag, tag, Match::strong));
    for (const auto* const list :
         {"", "7-5-1.2", "\"7-5-1.23\"", "W/", "\"a\"", "w/\"7-5-1.2\"", "\"a,*,b\"", "*, *"}) {
        CAPTURE(list);
        CHECK(!names_tag(list, tag, Match::weak));
    }
    for (const auto* const list : {"", ",", "\"\"", "W/", "a, , b"}) // Nothing is no tag.
        CHECK(!names_tag(list, "", Match::weak));
}

TEST_CASE("another file and a changed file have another tag, whatever mv and touch keep") {
    const auto tag = [](ino_t inode, off_t size, timespec changed) {
        struct stat file {};
        file.st_ino = inode;
        file.st_size = size;
        file.st_ctim = changed;
        file.st_mtim = {.tv_sec = 1, .tv_nsec = 2}; // Kept, all the time.
        return validators_of(file, 1000).tag;
    };
    CHECK(tag(7, 5, {.tv_sec = 1, .tv_nsec = 2}) == "\"7-5-1.2\"");
    CHECK(tag(8, 5, {.tv_sec = 1, .tv_nsec = 2}) == "\"8-5-1.2\"");
    CHECK(tag(7, 6, {.tv_sec = 1, .tv_nsec = 2}) == "\"7-6-1.2\"");
    CHECK(tag(7, 5, {.tv_sec = 1, .tv_nsec = 3}) == "\"7-5-1.3\"");
}

TEST_CASE("a file that may change again within one step of the clock has no tag yet") {
    struct stat file {};
    file.st_ctim = {.tv_sec = 1000, .tv_nsec = 0};
    CHECK(!validators_of(file, 1003).tag.empty());
    CHECK(validators_of(file, 1002).tag.empty());
    CHECK(validators_of(file, 900).tag.empty()); // The clock has been set back.
    CHECK(validators_of(file, 1003).modified == 1000);
    CHECK(validators_of(file, 900).modified == 900); // Never after the Date of the answer.
}

TEST_CASE("a date in each of its three forms, and what is none") {
    const std::time_t now = 1'790'000'000; // in 2026
    for (const auto* const date : {"Sun, 06 Nov 1994 08:49:37 GMT",
                                   "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
        CAPTURE(date);
        CHECK(time_of(date, now) == 784111777);
    }
    CHECK(http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(http_date(*time_of("Friday, 01-Nov-75 00:00:00 GMT", now)).find("Nov 2075") !=
          std::string::npos);
    CHECK(http_date(*time_of("Friday, 01-Nov-77 00:00:00 GMT", now)).find("Nov 1977") !=
          std::string::npos);
    for (const auto* const text :
         {"", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT, x",
          "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 36 Nov 1994 08:49:37 GMT"}) {
        CAPTURE(text);
        CHECK(!time_of(text, now));
    }
}

TEST_CASE("conditions: which is asked, in which order, and what comes of it") {
    const std::string same = "\"a\"";
    const std::string other = "\"b\"";
    const std::string before = "Sun, 06 Nov 1994 08:49:36 GMT";
    const std::string then = "Sun, 06 Nov 1994 08:49:37 GMT";
    const Validators current{.tag = same, .modified = 784111777};
    const auto status = [&](const std::string& fields, const Validators& validators) {
        return status_under_conditions(request_head_from(get + fields), validators, 1'790'000'000);
    };
    const auto with = [&](const std::string& fields) { return status(fields, current); };
    const auto line = [](const std::string& name, const std::string& value) {
        return name + ": " + value + "\r\n";
    };
    CHECK(with("") == 200);
    CHECK(with(line("If-Match", same)) == 200);
    CHECK(with(line("If-Match", "*")) == 200);
    CHECK(with(line("If-Match", other)) == 412);
    CHECK(with(line("If-Match", "W/" + same)) == 412);
    CHECK(with(line("If-Match", other) + line("If-Match", same)) == 200);
    CHECK(with(line("If-Match", "")) == 412);
    CHECK(with(line("If-Unmodified-Since", then)) == 200);
    CHECK(with(line("If-Unmodified-Since", before)) == 412);
    CHECK(with(line("If-Unmodified-Since", "no date")) == 200);
    CHECK(with(line("If-None-Match", same)) == 304);
    CHECK(with(line("If-None-Match", "W/" + same)) == 304);
    CHECK(with(line("If-None-Match", "*")) == 304);
    CHECK(with(line("If-None-Match", other)) == 200);
    CHECK(with(line("If-Modified-Since", then)) == 304);
    CHECK(with(line("If-Modified-Since", before)) == 200);
    CHECK(with(line("If-Modified-Since", "no date")) == 200);
    // A tag goes before a date, and 412 before 304.
    CHECK(with(line("If-Match", same) + line("If-Unmodified-Since", before)) == 200);
    CHECK(with(line("If-Match", other) + line("If-Unmodified-Since", then)) == 412);
    CHECK(with(line("If-None-Match", other) + line("If-Modified-Since", then)) == 200);
    CHECK(with(line("If-None-Match", same) + line("If-Modified-Since", before)) == 304);
    CHECK(with(line("If-Match", other) + line("If-None-Match", same)) == 412);
    CHECK(with(line("If-Match", same) + line("If-None-Match", same)) == 304);
    CHECK(with(line("If-Unmodified-Since", before) + line("If-None-Match", same)) == 412);
    // The page of a folder has neither tag nor date.
    const Validators none;
    CHECK(status(line("If-Match", same), none) == 412);
    CHECK(status(line("If-Match", "*"), none) == 200);
    CHECK(status(line("If-None-Match", "*"), none) == 304);
    CHECK(status(line("If-None-Match", same), none) == 200);
    CHECK(status(line("If-Modified-Since", then), none) == 200);
    CHECK(status(line("If-Unmodified-Since", before), none) == 200);
}

TEST_CASE("If-Range: a part only of this very content, and for GET only") {
    const Validators current{.tag = "\"a\"", .modified = 784111777};
    const auto in_parts = [&](const std::string& fields, const Validators& validators) {
        return may_be_part(request_head_from(get + fields), validators);
    };
    CHECK(in_parts("", current));
    CHECK(in_parts("If-Range: \"a\"\r\n", current));
    for (const auto* const value :
         {"\"b\"", "W/\"a\"", "", "*", R"("a", "a")", "Sun, 06 Nov 1994 08:49:37 GMT"}) {
        CAPTURE(value);
        CHECK(!in_parts("If-Range: " + std::string(value) + "\r\n", current));
    }
    CHECK(!in_parts("If-Range:\r\n", Validators()));
    CHECK(!may_be_part(request_head_from("HEAD / HTTP/1.1\r\n"), current));
}
