// The file server of step 12, over real connections, byte by byte.
#include "owned_fd.hpp"
#include "step.hpp"
#include "talk.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t mebibyte = 1 << 20;

// A folder to serve, with one beside it that nobody may see. Both are gone when it is.
class Site {
public:
    Site() {
        std::string name = (std::filesystem::temp_directory_path() / "filesXXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        place_ = name;
        std::filesystem::create_directories(root() / "sub");
        write("hello.txt", "hello from the disk\n");
        write("sub/page.html", "<p>a page\n");
        std::ofstream(place_ / "secret") << "secret\n";
    }
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;
    ~Site() { std::filesystem::remove_all(place_); }

    std::filesystem::path root() const { return place_ / "site"; }
    void write(const std::string& name, std::string_view content) const {
        std::ofstream(root() / name, std::ios::binary) << content;
    }
    void link(const std::string& name, const std::string& target) const {
        std::filesystem::create_symlink(target, root() / name);
    }
    Server serve(std::vector<std::string> options = {}) const {
        options.insert(options.end(), {"--folder", root().string()});
        return step(12, options);
    }

private:
    std::filesystem::path place_;
};

struct Reply {
    int status = 0;
    std::map<std::string, std::string> fields = {};
    std::string content = {};
};

// The next answer; `has_content` is false for what answers HEAD.
Reply hear(Caller& caller, bool has_content = true) {
    Reply reply;
    std::string line = caller.expect_line_like("HTTP/1.1 *");
    reply.status = std::stoi(line.substr(9, 3));
    while ((line = caller.expect_line()) != "\r") {
        const auto colon = line.find(": ");
        REQUIRE(colon != std::string::npos);
        REQUIRE(line.ends_with('\r'));
        reply.fields[line.substr(0, colon)] = line.substr(colon + 2, line.size() - colon - 3);
    }
    if (has_content && reply.fields.contains("Content-Length"))
        reply.content = caller.read_exactly(std::stoull(reply.fields["Content-Length"]), 30s);
    return reply;
}

std::string request(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

Reply get(Caller& caller, const std::string& target, const std::string& fields = "") {
    caller.send(request(target, fields));
    return hear(caller);
}

std::string range(std::size_t first, std::size_t last) {
    return "Range: bytes=" + std::to_string(first) + '-' + std::to_string(last) + "\r\n";
}

// A file that has changed a moment ago has no tag yet. Asks until it has one.
std::string tag_of(Caller& caller, const std::string& target) {
    const auto end = std::chrono::steady_clock::now() + 30s * timeout_scale();
    while (true) {
        const auto fields = get(caller, target).fields;
        if (fields.contains("ETag")) return fields.at("ETag");
        REQUIRE(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(50ms); // The kernel's clock goes on: ask again.
    }
}

void expect_hello(Server& server) {
    Caller caller = server.call("polite");
    CHECK(get(caller, "/hello.txt").content == "hello from the disk\n");
}

// Waits until the server has said this on standard error.
void expect_in_log(const Server& server, const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (server.log().find(text) == std::string::npos) {
        INFO("it has said:\n" << server.log());
        REQUIRE(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(10ms); // It says it when it likes: look again and again.
    }
}

} // namespace

TEST_CASE("step 12: a page and its head, and one connection for both") {
    const Site site;
    Server server = site.serve();
    Caller caller = server.call("A");
    Reply reply = get(caller, "/sub/page.html");
    CHECK(reply.status == 200);
    CHECK(reply.fields["Content-Type"] == "text/html; charset=utf-8");
    CHECK(reply.fields["Connection"] == "keep-alive");
    CHECK(reply.content == "<p>a page\n");
    caller.send("HEAD /sub/page.html HTTP/1.1\r\nHost: a\r\n\r\n");
    Reply head = hear(caller, false);
    CHECK(head.status == 200);
    CHECK(head.fields["Content-Length"] == "10");
    CHECK(head.fields["Content-Type"] == reply.fields["Content-Type"]);
    for (const std::string target :
         {"/sub/", "/nothing", "/sub"}) { // These answers are our own words.
        caller.send("HEAD " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(hear(caller, false).fields["Content-Length"] != "0");
    }
    CHECK(get(caller, "/nothing").status == 404);
    caller.send("GET /hello.txt HTTP/1.0\r\n\r\n");
    CHECK(hear(caller).fields["Connection"] == "close");
    caller.expect_end();
}

TEST_CASE("requests in one piece, in single bytes, and with a half-close behind them") {
    const Site site;
    Server server = site.serve();
    Caller caller = server.call("A");
    caller.send(request("/hello.txt") + request("/gone") + request("/sub/page.html"));
    CHECK(hear(caller).content == "hello from the disk\n");
    CHECK(hear(caller).status == 404);
    CHECK(hear(caller).content == "<p>a page\n");
    for (const char byte : request("/hello.txt"))
        caller.send({&byte, 1});
    CHECK(hear(caller).status == 200);
    caller.send(repeated(200, request("/hello.txt")));
    caller.half_close();
    for (int i = 0; i < 200; ++i)
        REQUIRE(hear(caller).content == "hello from the disk\n");
    caller.expect_end();
}

TEST_CASE("malformed requests: each gets its answer, then the end, and never a reset") {
    const Site site;
    Server server = site.serve();
    const std::string get = "GET / HTTP/1.1\r\n";
    const std::string host = "Host: a\r\n";
    const std::vector<std::pair<int, std::string>> malformed = {
        {400, "hello\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\n" + host + "\r\n"},
        {400, "GET / HTTP/1.1.1\r\n" + host + "\r\n"},
        {400, "\x16\x03\x01\x02\r\n\r\n"}, // TLS, at the wrong door
        {400, get + "\r\n"},
        {400, get + host + host + "\r\n"},
        {400, get + host + "Name : value\r\n\r\n"},
        {400, get + host + " folded\r\n\r\n"},
        {400, get + host + "no colon\r\n\r\n"},
        {400, get + host + std::string("A: \0\r\n\r\n", 8)},
        {400, "GET /%zz HTTP/1.1\r\n" + host + "\r\n"},
        {400, "GET /a%00.html HTTP/1.1\r\n" + host + "\r\n"},
        {400, "GET hello.txt HTTP/1.1\r\n" + host + "\r\n"},
        {400, get + host + "Content-Length: -1\r\n\r\n"},
        {400, get + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {405, "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello"},
        {413, get + host + "Content-Length: 100000\r\n\r\n" + std::string(100'000, 'x')},
        {413, get + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
        {414, "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + host + "\r\n"},
        {414, std::string(100'000, 'a')},
        {417, get + host + "Expect: miracles\r\n\r\n"},
        {431, get + host + "A: " + std::string(20'000, 'a') + "\r\n\r\n"},
        {431, get + repeated(20'000, "a:b\r\n")},
        {501, "BREW / HTTP/1.1\r\n" + host + "\r\n"},
        {501, get + host + "Transfer-Encoding: gzip\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\n" + host + "\r\n"},
        {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, // HTTP/2 that has not asked before
    };
    for (const auto& [status, bytes] : malformed) {
        const std::string beginning = bytes.substr(0, 60);
        CAPTURE(beginning);
        Caller caller = server.call("malformed");
        // What stands behind a wrong request is not answered: it may be what is hidden in it.
        caller.send(bytes + request("/hello.txt"));
        Reply reply = hear(caller);
        CHECK(reply.status == status);
        CHECK(reply.fields["Connection"] == "close");
        caller.expect_end();
    }
    Caller caller = server.call("half");
    caller.send("GET / HTTP/1.1\r\nHost:");
    caller.half_close();
    CHECK(hear(caller).status == 400);
    caller.expect_end();
    expect_hello(server);
}

TEST_CASE("a refusal, with much unread behind it, does not destroy the answer before it") {
    const Site site;
    site.write("large", big_bytes(mebibyte));
    Server server = site.serve();
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.send(request("/large") + "nonsense\r\n\r\n" + std::string(200'000, 'x'));
    expect_in_log(server, " 400 "); // All is said, and most of it still with the server's kernel.
    const bool is_same = hear(caller).content == big_bytes(mebibyte);
    CHECK(is_same);
    CHECK(hear(caller).status == 400);
    caller.expect_end();
}

TEST_CASE("64 MiB arrive as they are, whole and in parts, and do not go through our memory") {
    const Site site;
    const std::string content = big_bytes(64 * mebibyte);
    site.write("large", content);
    Server server = site.serve();
    Caller caller = server.call("A");
    expect_hello(server);
    const std::size_t before = server.memory().resident;
    const auto is_same = [](const std::string& a, std::string_view b) { return a == b; };
    Reply whole = get(caller, "/large");
    CHECK(whole.fields["Content-Type"] == "application/octet-stream");
    CHECK(is_same(whole.content, content));
    CHECK(server.memory().resident < before + 4 * mebibyte);

    std::size_t first = 0;
    for (std::size_t size = 1; first < content.size(); first += size, size = size * 7 + 1) {
        Reply part = get(caller, "/large", range(first, first + size - 1));
        CHECK(part.status == 206);
        const auto last = std::min(first + size, content.size()) - 1;
        CHECK(part.fields["Content-Range"] ==
              "bytes " + std::to_string(first) + '-' + std::to_string(last) + "/67108864");
        CHECK(is_same(part.content, std::string_view(content).substr(first, size)));
    }
    CHECK(get(caller, "/large", "Range: bytes=-5\r\n").content ==
          content.substr(64 * mebibyte - 5));
    Reply beyond = get(caller, "/large", range(64 * mebibyte, 64 * mebibyte));
    CHECK(beyond.status == 416);
    CHECK(beyond.fields["Content-Range"] == "bytes */67108864");
    CHECK(get(caller, "/large", range(0, 0)).content == content.substr(0, 1));
}

TEST_CASE("a part belongs to one content: if the file has changed, all of it comes") {
    const Site site;
    site.write("other.txt", "OTHER from the disk\n"); // as long as hello.txt, and as old
    std::filesystem::last_write_time(site.root() / "other.txt",
                                     std::filesystem::last_write_time(site.root() / "hello.txt"));
    Server server = site.serve();
    Caller caller = server.call("A");
    const std::string tag = tag_of(caller, "/hello.txt");
    REQUIRE(tag_of(caller, "/other.txt") != tag);
    const auto again = [&](const std::string& fields) { return get(caller, "/hello.txt", fields); };
    CHECK(again("If-None-Match: " + tag + "\r\n").status == 304);
    CHECK(again("If-None-Match: \"x\", W/" + tag + "\r\n").fields["ETag"] == tag);
    CHECK(again("If-None-Match: \"x\"\r\n").status == 200);
    CHECK(again("If-Match: " + tag + "\r\n" + range(0, 4)).content == "hello");
    CHECK(again("If-None-Match: " + tag + "\r\n" + range(99, 99)).status == 304);
    CHECK(again(range(0, 4) + "If-Range: " + tag + "\r\n").content == "hello");
    CHECK(again(range(0, 4) + "If-Range: W/" + tag + "\r\n").status == 200);
    const std::string date = again("").fields["Last-Modified"];
    CHECK(again("If-Modified-Since: " + date + "\r\n").status == 304);
    CHECK(again("If-Unmodified-Since: " + date + "\r\n").status == 200);
    // HEAD knows no ranges (RFC 9110, section 14.2).
    caller.send("HEAD /hello.txt HTTP/1.1\r\nHost: a\r\n" + range(0, 4) + "\r\n");
    CHECK(hear(caller, false).status == 200);

    // mv keeps size and time, and yet it is another file.
    std::filesystem::rename(site.root() / "other.txt", site.root() / "hello.txt");
    CHECK(again("If-None-Match: " + tag + "\r\n").content == "OTHER from the disk\n");
    CHECK(again(range(5, 9) + "If-Range: " + tag + "\r\n").content == "OTHER from the disk\n");
    CHECK(again(range(5, 9) + "If-Match: " + tag + "\r\n").status == 412);

    const std::string newer = tag_of(caller, "/hello.txt");
    const auto time = std::filesystem::last_write_time(site.root() / "hello.txt");
    site.write("hello.txt", "HELLO from the disk\n");
    std::filesystem::last_write_time(site.root() / "hello.txt", time); // as touch -d does
    CHECK(again("If-None-Match: " + newer + "\r\n").content == "HELLO from the disk\n");
    CHECK(again(range(5, 9) + "If-Range: " + newer + "\r\n").status == 200);
}

TEST_CASE("a condition holds on each way out: for files, for folders, and not for what is no 200") {
    const Site site;
    Server server = site.serve();
    Caller caller = server.call("A");
    const std::string other = "If-Match: \"x\"\r\n";
    const std::string any = "If-None-Match: *\r\n";
    const std::string long_ago = "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    CHECK(get(caller, "/hello.txt", other + range(0, 4)).status == 412);
    CHECK(get(caller, "/hello.txt", long_ago).status == 412);
    CHECK(get(caller, "/hello.txt", any).status == 304);
    CHECK(get(caller, "/sub/", other).status == 412);
    CHECK(get(caller, "/sub/", any).status == 304);
    CHECK(get(caller, "/sub/", long_ago).status == 200); // It has no date.
    CHECK(get(caller, "/sub/", range(0, 4)).status == 200);
    for (const std::string& fields : {other, any, long_ago}) {
        CHECK(get(caller, "/nothing", fields).status == 404);
        CHECK(get(caller, "/sub", fields).status == 301);
    }
    caller.send("HEAD /hello.txt HTTP/1.1\r\nHost: a\r\n" + other + "\r\n" + request("/hello.txt"));
    CHECK(hear(caller, false).status == 412);
    CHECK(hear(caller).content == "hello from the disk\n");
}

TEST_CASE("a refused HEAD has no content, wherever it is refused") {
    const Site site;
    Server server = site.serve();
    const std::string head = "HEAD / HTTP/1.1\r\n";
    const std::string host = "Host: a\r\n";
    const std::vector<std::pair<int, std::string>> refused = {
        {400, head + "\r\n"},
        {400, "\r\n" + head + "\r\n"},
        {400, head + host + "no colon\r\n\r\n"},
        {400, "HEAD /%zz HTTP/1.1\r\n" + host + "\r\n"},
        {400, "HEAD nonsense\r\n\r\n"},
        {413, head + host + "Content-Length: 5\r\n\r\nhello"},
        {414, "HEAD /" + std::string(9000, 'a')},
        {417, head + host + "Expect: miracles\r\n\r\n"},
        {431, head + host + "A: " + std::string(20'000, 'a') + "\r\n\r\n"},
        {501, head + host + "Transfer-Encoding: gzip\r\n\r\n"},
        {505, "HEAD / HTTP/2.0\r\n" + host + "\r\n"},
    };
    for (const auto& [status, bytes] : refused) {
        const std::string beginning = bytes.substr(0, 60);
        CAPTURE(beginning);
        Caller caller = server.call("A");
        caller.send(bytes);
        CHECK(hear(caller, false).status == status);
        caller.expect_end();
    }
    Server hasty = site.serve({"--idle-timeout", "0.5"});
    Caller slow = hasty.call("slow");
    slow.send(head + host);
    CHECK(hear(slow, false).status == 408);
    slow.expect_end();
    Caller caller = server.call("B"); // The rule is for one request, not for the connection.
    caller.send("HEAD /nothing HTTP/1.1\r\n" + host + "\r\nGET / HTTP/1.1\r\n\r\n");
    CHECK(hear(caller, false).status == 404);
    CHECK(hear(caller).content.starts_with("400 Bad Request\n"));
    caller.expect_end();
}

TEST_CASE("what HTTP lets us ignore is ignored, and Connection: close is kept") {
    const Site site;
    Server server = site.serve();
    Caller caller = server.call("A");
    for (const std::string fields :
         {"Upgrade: h2c\r\nConnection: Upgrade\r\n", "Expect: 100-continue\r\n",
          "Accept: image/png\r\n", "Accept-Encoding: br\r\n", "TE: trailers\r\n", "X: \xff\r\n",
          "Range: lines=1-2\r\n", "Range: bytes=0-0,2-2\r\n", "Max-Forwards: 0\r\n"})
        CHECK(get(caller, "/hello.txt", fields).status == 200);
    Reply reply = get(caller, "/sub/");
    CHECK(reply.fields["Content-Type"] == "text/html; charset=utf-8");
    CHECK(reply.fields["Date"].ends_with(" GMT"));
    caller.send("POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(hear(caller).fields["Allow"] == "GET, HEAD");
    caller.expect_end();
    Caller last = server.call("last");
    last.send(request("/hello.txt", "Connection: close\r\n") + request("/hello.txt"));
    CHECK(hear(last).fields["Connection"] == "close");
    last.expect_end(); // The second is not answered.
}

TEST_CASE("without /proc a folder cannot be listed: 500, and the reason in the log") {
    const Site site;
    const std::string folder = steps().folder.string(); // LD_PRELOAD takes no spaces.
    Server server = step(12, {"--folder", site.root().string()},
                         ServerOptions{.environment = {"LD_PRELOAD=./no_proc.so",
                                                       "ASAN_OPTIONS=verify_asan_link_order=0"},
                                       .folder = folder});
    Caller caller = server.call("A");
    CHECK(get(caller, "/hello.txt").content == "hello from the disk\n");
    Reply reply = get(caller, "/sub/");
    CHECK(reply.status == 500);
    CHECK(reply.content.starts_with("500 Internal Server Error\n"));
    caller.expect_end();
    expect_in_log(server, "GET /sub/: filesystem error");
    Caller head = server.call("HEAD");
    head.send("HEAD /sub/ HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(hear(head, false).status == 500);
    head.expect_end();
    expect_hello(server);
}

TEST_CASE("a FIFO is looked at and not opened: whoever waits to write into it waits on") {
    const Site site;
    const std::string fifo = site.root() / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    site.link("to-fifo", "fifo");
    std::filesystem::create_directory(site.root() / "folder");
    site.link("folder/index.html", "../fifo");
    std::atomic<pid_t> id = 0;
    std::atomic<bool> opened = false;
    std::thread writer([&] {
        id = ::gettid();
        const OwnedFd end(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC));
        opened = true;
        [[maybe_unused]] const auto count = ::write(end.get(), "kept", 4);
    });
    const auto is_asleep = [&id] {
        std::ifstream stat("/proc/self/task/" + std::to_string(id) + "/stat");
        const std::string text{std::istreambuf_iterator<char>(stat), {}};
        return text.find(") S ") != std::string::npos;
    };
    const auto end = std::chrono::steady_clock::now() + 10s * timeout_scale();
    while (!is_asleep() && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    {
        Server server = site.serve();
        Caller caller = server.call("A");
        for (const std::string target : {"/fifo", "/to-fifo", "/fifo/"})
            CHECK(get(caller, target).status == 404);
        CHECK(get(caller, "/folder/").status == 200);
        CHECK(is_asleep());
        CHECK(!opened);
    }
    // With a writer of our own this never waits, even where the first has been woken and has left.
    const OwnedFd both(::open(fifo.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    writer.join();
    std::array<char, 8> bytes{};
    CHECK(::read(both.get(), bytes.data(), bytes.size()) == 4);
}

TEST_CASE("a folder: its index, or what is in it; and a link to each leads there") {
    const Site site;
    std::filesystem::create_directory(site.root() / "odd");
    const std::vector<std::string> odd = {
        "a b",        "<script>", "50%",      "q?x=1#y", "\"'&",       "javascript:alert(1)",
        "two\nlines", "\xc3\xa4", "\xff\xfe", "-",       "back\\slash"};
    for (const std::string& name : odd)
        site.write("odd/" + name, "content of " + name);
    Server server = site.serve();
    Caller caller = server.call("A");

    for (const std::string target : {"/sub", "//sub", "/%2f/sub", "http://a.example/sub?x"}) {
        Reply there = get(caller, target);
        CHECK(there.status == 301);
        CHECK(there.fields["Location"] == "/sub/");
    }
    const std::string listing = get(caller, "/sub/").content;
    CHECK(listing.find("<a href=\"page.html\">page.html</a>") != std::string::npos);
    CHECK(get(caller, "/").content.find("<a href=\"sub/\">sub/</a>") != std::string::npos);
    site.write("sub/index.html", "<p>the index\n");
    CHECK(get(caller, "/sub/").content == "<p>the index\n");
    CHECK(get(caller, "/sub/?query").fields["Content-Type"] == "text/html; charset=utf-8");
    CHECK(get(caller, "/hello.txt/").status == 404);

    const std::string page = get(caller, "/odd/").content;
    std::vector<std::string> contents;
    const std::string mark = "<a href=\"";
    for (auto place = page.find(mark); place != std::string::npos; place = page.find(mark, place)) {
        place += mark.size();
        const std::string link = page.substr(place, page.find('"', place) - place);
        if (link != "../") contents.push_back(get(caller, "/odd/" + link).content);
    }
    std::vector<std::string> wanted;
    for (const std::string& name : odd)
        wanted.push_back("content of " + name);
    std::ranges::sort(wanted);
    std::ranges::sort(contents);
    CHECK(contents == wanted);
}

TEST_CASE("nobody gets out of the folder, and nobody gets stuck in it") {
    const Site site;
    const std::string secret = (site.root() / "../secret").lexically_normal();
    site.link("inside", "hello.txt");
    site.link("sub/inside", "../hello.txt");
    site.link("outside", "../secret");
    site.link("absolute", secret);
    site.link("parent", "..");
    site.link("loop", "loop");
    site.link("descriptors", "/proc/self/fd");
    REQUIRE(::mkfifo((site.root() / "fifo").c_str(), 0600) == 0);
    Server server = site.serve();
    Caller caller = server.call("A");
    for (const std::string target : {"/inside", "/sub/inside", "/sub/../hello.txt", "/./hello.txt",
                                     "/sub/%2e%2e/hello.txt", "//hello.txt", "/sub//..//inside"})
        CHECK(get(caller, target).content == "hello from the disk\n");
    for (const std::string target : {"/../secret",
                                     "/%2e%2e/secret",
                                     "/..%2fsecret",
                                     "/%2e%2e%2fsecret",
                                     "/%252e%252e/secret",
                                     "/sub/../../secret",
                                     "/../site/hello.txt",
                                     "/outside",
                                     "/absolute",
                                     "/parent/secret",
                                     "/parent",
                                     "/loop",
                                     "/descriptors/0",
                                     "/..",
                                     "/../",
                                     "/fifo",
                                     "/%2fetc/passwd",
                                     "//etc/passwd",
                                     "/..\\secret",
                                     "/%c0%ae%c0%ae/secret",
                                     "/....//secret"}) {
        CAPTURE(target);
        Reply reply = get(caller, target);
        CHECK(reply.status == 404);
        CHECK(reply.content.find("secret\n") == std::string::npos);
    }
    CHECK(get(caller, secret).status == 404);
    CHECK(get(caller, "/" + std::string(300, 'n')).status == 404);
    CHECK(get(caller, "/" + repeated(2500, "a/")).status == 404);
}

TEST_CASE("a link that leads in and out by turns never leads out") {
    const Site site;
    std::filesystem::create_directory(site.root() / "../private");
    std::ofstream(site.root() / "../private/page.html") << "secret\n";
    site.link("in", "sub");
    site.link("out", "../private");
    Server server = site.serve();
    Caller caller = server.call("A");
    std::atomic<bool> over = false;
    std::thread juggler([&] {
        while (!over)
            for (const auto* const target : {"sub", "../private"}) {
                std::filesystem::create_symlink(target, site.root() / "next");
                std::filesystem::rename(site.root() / "next", site.root() / "turns");
            }
    });
    int seen = 0;
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
        const Reply reply = get(caller, "/turns/page.html");
        seen += reply.content == "<p>a page\n" ? 1 : 0;
        refused += reply.status == 404 ? 1 : 0;
    }
    over = true;
    juggler.join();
    CHECK(seen + refused == 2000);
    CHECK(refused > 0);
    CHECK(seen > 0);
}

TEST_CASE("who is too slow is let go: who says nothing, who drips, who does not read") {
    const Site site;
    site.write("large", big_bytes(64 * mebibyte));
    Server server = site.serve({"--idle-timeout", "0.5"});
    expect_hello(server);
    const Counts before = server.counts();

    Caller silent = server.call("silent");
    Caller reader = server.call("does not read", {.receive_buffer = 65536});
    reader.send(request("/large"));
    CHECK(reader.expect_line() == "HTTP/1.1 200 OK\r");
    reader.stop_reading();

    Caller dripping = server.call("drips");
    dripping.send("GET / HTTP/1.1\r\n");
    const auto start = std::chrono::steady_clock::now();
    const std::string drops = "A:b\r\n"; // A line comes to its end now and then; the head does not.
    for (std::size_t i = 0; !dripping.has_news(); ++i) {
        REQUIRE(std::chrono::steady_clock::now() < start + 5s * timeout_scale());
        dripping.send(drops.substr(i % drops.size(), 1));
        std::this_thread::sleep_for(20ms); // It drips: that is the point.
    }
    CHECK(std::chrono::steady_clock::now() - start > 400ms);
    CHECK(hear(dripping).status == 408);
    dripping.expect_end();
    silent.expect_end(); // There is nothing to answer.
    expect_in_log(server, "timed out");
    dripping.close();
    silent.close();
    server.settle(before);
    reader.expect_gone(30s);
    expect_hello(server);
}

TEST_CASE("who asks slowly and reads slowly, but does, gets all of it") {
    const Site site;
    const std::string content = big_bytes(4 * mebibyte);
    site.write("large", content);
    Server server = site.serve({"--idle-timeout", "1"});
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.send("GET /large HTTP/1.1\r\n");
    std::this_thread::sleep_for(700ms); // Most of the time for a request, and none of the next one.
    caller.send("Host: a\r\n\r\n");
    while (caller.expect_line() != "\r") {
    }
    std::this_thread::sleep_for(500ms); // Half of the time for a piece.
    std::string heard;
    while (heard.size() < content.size()) {
        heard += caller.read_exactly(std::min(content.size() - heard.size(), mebibyte / 4));
        std::this_thread::sleep_for(100ms); // All of it takes longer than the timeout.
    }
    const bool is_same = heard == content;
    CHECK(is_same);
}

TEST_CASE("who vanishes in the middle of an answer leaves nothing behind") {
    const Site site;
    site.write("large", big_bytes(64 * mebibyte));
    Server server = site.serve();
    expect_hello(server);
    const Counts before = server.counts();
    for (int i = 0; i < 10; ++i) {
        Caller resetter = server.call("resetter");
        resetter.send(request("/large"));
        resetter.expect_line();
        resetter.reset();
        Caller vanisher = server.call("vanisher");
        vanisher.send(repeated(20, request("/large")));
        vanisher.vanish();
        server.call("gone at once").reset();
        Caller quiet = server.call("quiet");
        quiet.send("GET / HT");
        quiet.reset();
    }
    server.settle(before);
    expect_hello(server);
}

TEST_CASE("a hundred at once: each has a thread, and each is answered while all others wait") {
    const Site site;
    Server server = site.serve();
    expect_hello(server);
    const Counts before = server.counts();
    std::vector<Caller> callers;
    for (int i = 0; i < 100; ++i)
        callers.push_back(server.call(std::to_string(i)));
    for (int round = 0; round < 3; ++round)
        for (Caller& caller : callers)
            REQUIRE(get(caller, "/hello.txt").status == 200);
    CHECK(server.threads() >= 100);
    callers.clear();
    server.settle(before);
}

TEST_CASE("a file that shrinks under way: the connection ends early, and so all can see it") {
    const Site site;
    site.write("large", big_bytes(64 * mebibyte));
    Server server = site.serve();
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.send(request("/large") + request("/hello.txt"));
    while (caller.expect_line() != "\r") {
    }
    std::filesystem::resize_file(site.root() / "large", mebibyte);
    const std::string heard = caller.read_to_end(64 * mebibyte, 30s);
    CHECK(heard.size() < 64 * mebibyte);
    // What was on its way is the file's own memory (sendfile(2)): of that, what is cut off is zeros
    // now.
    const bool is_beginning = heard.substr(0, mebibyte) == big_bytes(mebibyte);
    CHECK(is_beginning);
    expect_in_log(server, "the file has shrunk");
    expect_hello(server);
}

TEST_CASE("a file that grows under way: as much comes as was promised, then the next answer") {
    const Site site;
    site.write("large", big_bytes(16 * mebibyte));
    Server server = site.serve();
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.send(request("/large") + request("/hello.txt"));
    while (caller.expect_line() != "\r") {
    }
    std::filesystem::resize_file(site.root() / "large", 32 * mebibyte);
    const bool is_same = caller.read_exactly(16 * mebibyte, 30s) == big_bytes(16 * mebibyte);
    CHECK(is_same);
    CHECK(hear(caller).content == "hello from the disk\n");
}

TEST_CASE("no more callers than --max-clients at once, and the next one as soon as one goes") {
    const Site site;
    Server server = site.serve({"--max-clients", "2"});
    Caller a = server.call("A");
    Caller b = server.call("B");
    CHECK(get(a, "/hello.txt").status == 200);
    CHECK(get(b, "/hello.txt").status == 200);
    Caller c = server.call("C");
    c.send(request("/hello.txt"));
    c.expect_silence(200ms);
    a.close();
    CHECK(hear(c).status == 200);
}

TEST_CASE("without a free descriptor a file is not opened now, and a moment later it is") {
    const Site site;
    site.write("sub/index.html", "<p>the index\n");
    Server server = site.serve();
    Caller caller = server.call("A");
    // Not a file: it might still be open when we hear its end.
    CHECK(get(caller, "/nothing").status == 404);
    const auto all = static_cast<rlim_t>(server.descriptors());
    server.limit(RLIMIT_NOFILE, all);
    CHECK(get(caller, "/hello.txt").status == 503);
    server.limit(RLIMIT_NOFILE, all + 1); // It opens the folder, and not the page in it.
    CHECK(get(caller, "/sub/").status == 503);
    server.limit(RLIMIT_NOFILE, 1024);
    CHECK(get(caller, "/sub/").content == "<p>the index\n");
}

TEST_CASE("SIGTERM: who waits is let go, who is in the middle gets the rest if they take it") {
    const Site site;
    site.write("large", big_bytes(8 * mebibyte));
    Server server = site.serve();
    Caller silent = server.call("silent");
    Caller stays = server.call("stays");
    CHECK(get(stays, "/hello.txt").status == 200);
    Caller stuck = server.call("does not read", {.receive_buffer = 65536});
    stuck.send(request("/large"));
    stuck.expect_line();
    Caller caller = server.call("A", {.receive_buffer = 65536});
    caller.send(request("/large"));
    while (caller.expect_line() != "\r") {
    }
    server.signal(SIGTERM);
    silent.expect_end();
    stays.expect_end();
    const bool is_same = caller.read_exactly(8 * mebibyte) == big_bytes(8 * mebibyte);
    CHECK(is_same);
    caller.expect_end();
    CHECK(server.wait_exit(2s) == 0);
}

TEST_CASE("what a caller sends does not reach the terminal of whoever reads the log") {
    const Site site;
    Server server = site.serve();
    Caller rude = server.call("rude");
    rude.send("GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(hear(rude).status == 400);
    Caller caller = server.call("A");
    CHECK(get(caller, "/%1b[2J%0a").status == 404);
    expect_in_log(server, " 404 ");
    const std::string log = server.log();
    CHECK(std::ranges::all_of(log, [](char byte) { return byte == '\n' || byte >= ' '; }));
}

TEST_CASE("a folder that is not there: one line that says so, and no server") {
    Server server =
        step(12, {"--folder", "/no/such/folder"}, ServerOptions{.ready = Ready::at_once});
    CHECK(server.wait_exit() == 1);
    CHECK(server.log().find("/no/such/folder: No such file or directory") != std::string::npos);
}

TEST_CASE("a port that is taken: one line that says so and what to do, and the first goes on") {
    const Site site;
    Server server = site.serve();
    Server second =
        step(12, {"--port", std::to_string(server.port())}, ServerOptions{.ready = Ready::at_once});
    CHECK(second.wait_exit() == 1);
    CHECK(second.log().find("Address already in use. Choose another --port") != std::string::npos);
    expect_hello(server);
    Server wrong = step(12, {"--port", "http"}, ServerOptions{.ready = Ready::at_once});
    CHECK(wrong.wait_exit() == 2);
    CHECK(wrong.log().find("--port is a number from 0 to 65535") != std::string::npos);
}
