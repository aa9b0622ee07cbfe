// The proofs of steps 12 to 15: servers that let others work for them, and call others.
#include "step.hpp"
#include "talk.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

// What is freed is filled with rubbish, so that whoever touches it falls at once, and always.
ServerOptions with_rubbish() {
    return {.environment = {"MALLOC_PERTURB_=165"}};
}

// A port that belongs to us. Calls are refused there; or they are not even answered.
class Port {
public:
    enum class Habit { refuses, is_silent };
    explicit Port(Habit habit) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* where = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(socket_.get(), where, size) == 0);
        REQUIRE(::getsockname(socket_.get(), where, &size) == 0);
        number_ = ntohs(address.sin_port);
        if (habit == Habit::is_silent) fill(where, size);
    }
    std::string text() const { return std::to_string(number_); }

private:
    // A queue with one place, and nobody who takes from it: the kernel forgets whoever calls then.
    void fill(const sockaddr* where, socklen_t size) {
        REQUIRE(::listen(socket_.get(), 0) == 0);
        for (int i = 0; i < 3; ++i) {
            waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            [[maybe_unused]] const int under_way = ::connect(waiting_.back().get(), where, size);
        }
    }

    OwnedFd socket_;
    std::vector<OwnedFd> waiting_;
    int number_ = 0;
};

// Waits until `said` holds this text, and gives back the line with it.
std::string line_with(const std::string& text, const std::function<std::string()>& said) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (true) {
        const std::string all = said();
        const auto found = all.find(text);
        if (found != std::string::npos && all.find('\n', found) != std::string::npos) {
            const auto start = all.rfind('\n', found) + 1;
            return all.substr(start, all.find('\n', found) - start);
        }
        INFO("it has said:\n" << all);
        REQUIRE(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(10ms); // It says it when it likes: look again and again.
    }
}

std::string printed(Server& server, const std::string& text) {
    return line_with(text, [&] { return server.out(); });
}

Server web_servers() {
    return Server({"python3", WEB_SERVERS});
}

std::string at(const Server& web, const std::string& path) {
    return "http://127.0.0.1:" + std::to_string(web.port()) + path;
}

} // namespace

TEST_CASE("step 12: while a thread sleeps, the loop counts and threads look things up") {
    Server server = step(12);
    Caller a = server.call("A");
    a.send("sleep 1500\ncount\nlookup localhost\n");
    a.expect("count: 1\n");
    a.expect("lookup localhost: 127.0.0.1:0\n");
    Caller b = server.call("B");
    b.send("count\n");
    b.expect("count: 2\n");
    CHECK(!a.has_news());
    a.expect("sleep 1500: ok\n");
}

TEST_CASE("step 12: four threads do four things at once, and the fifth afterwards") {
    Server server = step(12);
    const int threads = server.threads();
    Caller caller = server.call("A");
    caller.send("sleep 400\nsleep 1500\nsleep 1500\nsleep 1500\nsleep 10\n");
    caller.expect("sleep 400: ok\nsleep 10: ok\n");
    caller.expect(repeated(3, "sleep 1500: ok\n"));
    CHECK(server.threads() == threads);
}

TEST_CASE("step 12: what a thread throws comes back as an answer") {
    Server server = step(12);
    Caller caller = server.call("A");
    caller.send("lookup no/name\n");
    caller.expect_line_like("lookup no/name: sorry, no address for \"no/name\": *");
}

TEST_CASE("step 12: too much work is refused, and counting goes on") {
    Server server = step(12);
    Caller caller = server.call("A");
    caller.send(repeated(120, "sleep 9999\n") + "count\n");
    int refused = 0;
    for (auto line = caller.expect_line(); line != "count: 1";
         line = caller.expect_line(), ++refused)
        CHECK(line == "sleep 9999: sorry, too much to do: try again in a while");
    const bool as_many = refused >= 16 && refused <= 20; // 100 wait, and up to four have begun.
    CHECK(as_many);
}

TEST_CASE("step 12: who has left is owed nothing; who says no more is owed everything") {
    Server server = step(12, with_rubbish());
    for (int i = 0; i < 10; ++i) {
        Caller leaver = server.call("leaver");
        leaver.send("sleep 200\ncount\n");
        leaver.expect_line_like("count: *");
        leaver.reset();
    }
    Caller caller = server.call("A");
    caller.send("sleep 300\nlookup localhost\n");
    caller.half_close();
    caller.expect("lookup localhost: 127.0.0.1:0\n");
    caller.expect("sleep 300: ok\n");
    caller.expect_end();
}

TEST_CASE("step 13: one who answers late, one who refuses, one who says nothing at all") {
    const Port refusing(Port::Habit::refuses);
    const Port silent(Port::Habit::is_silent);
    std::string late;
    {
        const Port free(Port::Habit::refuses);
        late = free.text();
    }
    Server client =
        step(13, {refusing.text(), silent.text(), late}, ServerOptions{.ready = Ready::at_once});
    Server server = step(7, {late});
    CHECK(printed(client, late + " says").find("Welcome to 10086") != std::string::npos);
    CHECK(printed(client, refusing.text() + ": ") ==
          refusing.text() + ": connect: Connection refused");
    CHECK(printed(client, silent.text() + ": ") ==
          silent.text() + ": timed out: no result came in time");
    CHECK(client.wait_exit() == 1);
}

TEST_CASE("step 14: pages of a real web server, and two callers who are counted together") {
    const auto folder =
        std::filesystem::temp_directory_path() / ("pages" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    std::ofstream(folder / "short") << "a short page\n";
    std::ofstream(folder / "long") << repeated(10'000, "0123456789");
    Server web({"python3", "-m", "http.server", "0", "--bind", "127.0.0.1"},
               ServerOptions{.folder = folder, .ready = Ready::listens});
    Server server = step(14, {"0", at(web, "/short"), at(web, "/long")});
    Caller a = server.call("A");
    a.send("one\n");
    a.expect("message 1\nmessage 1: 100013 bytes\n");
    Caller b = server.call("B");
    b.send("two\n");
    b.half_close();
    b.expect("message 2\nmessage 2: 100013 bytes\n");
    b.expect_end();
    CHECK(printed(server, "message 1: " + at(web, "/short"))
              .ends_with("/short: 13 bytes, status 200: a short page."));
    CHECK(printed(server, "message 2: " + at(web, "/long"))
              .ends_with("/long: 100000 bytes, status 200: " + repeated(10, "0123456789")));
    std::filesystem::remove_all(folder);
}

TEST_CASE("step 14: while one web server says nothing, all is counted, and the other page comes") {
    Server web = web_servers();
    Server server = step(14, {"0", at(web, "/silent"), at(web, "/counted"), "3000"});
    Caller a = server.call("A");
    a.send("one\n");
    a.expect("message 1\n");
    CHECK(printed(server, "/counted")
              .ends_with("190 bytes, status 200: " +
                         repeated(10, "hello from the web.").substr(0, 100)));
    Caller b = server.call("B");
    b.send("two\n");
    b.expect("message 2\n");
    CHECK(server.out().find("/silent") == std::string::npos);
    a.expect("message 1: 190 bytes\n");
    b.expect("message 2: 190 bytes\n");
    CHECK(printed(server, "message 2: " + at(web, "/silent"))
              .ends_with("timed out: no result came in time"));
}

TEST_CASE("step 14: every page there is, good and bad, and what becomes of it") {
    Server web = web_servers();
    const std::string good = "190 bytes, status 200: hello from the web.hello from";
    const std::string large = "the page is larger than 1048576 bytes";
    const std::map<std::string, std::string> fates = {
        {"/counted", good},
        {"/chunked", good},
        {"/until-close", good},
        {"/folded", good},
        {"/go-on", good},
        {"/stays-open", good},
        {"/no-page", "0 bytes, status 204: "},
        {"/not-found", "5 bytes, status 404: sorry"},
        {"/early", "the page ends too early: after 190 bytes"},
        {"/early-chunk", "the page ends too early: after 190 bytes"},
        {"/garbage", "this is not HTTP: the first line is no status line"},
        {"/bad-header", "this is not HTTP: a header without a name"},
        {"/two-lengths", "this is not HTTP: a Content-Length that says nothing"},
        {"/bad-chunk", "this is not HTTP: a chunk without a size"},
        {"/endless", large},
        {"/endless-chunks", large},
        {"/endless-head", "this is not HTTP: a head without an end"},
        {"/endless-line", "this is not HTTP: a head without an end"},
        {"/large", large},
        {"/reset", "recv: Connection reset by peer"},
    };
    for (const auto& [path, fate] : fates) {
        Server server = step(14, {"0", at(web, path), at(web, "/counted")}, with_rubbish());
        Caller caller = server.call("A");
        caller.send("go\n");
        const std::string line = printed(server, at(web, path) + ": ");
        CHECK(line.starts_with("message 1: " + at(web, path) + ": " + fate));
        caller.expect_line_like("message 1");
        caller.expect_line_like("message 1: * bytes");
    }
}

TEST_CASE("step 14: a page has one deadline for all of it, though it drips") {
    Server web = web_servers();
    for (const std::string path : {"/silent", "/stall", "/drip"}) {
        Server server = step(14, {"0", at(web, path), at(web, path), "400"});
        Caller caller = server.call("A");
        caller.send("go\n");
        caller.expect("message 1\nmessage 1: 0 bytes\n");
        CHECK(printed(server, path).ends_with("timed out: no result came in time"));
    }
}

TEST_CASE("step 14: what is no page at all: refused, without an answer, unknown, no URL") {
    const Port refusing(Port::Habit::refuses);
    const Port silent(Port::Habit::is_silent);
    const std::string host = "http://127.0.0.1:";
    Server server =
        step(14, {"0", host + refusing.text() + "/", host + silent.text() + "/", "700"});
    Caller caller = server.call("A");
    caller.send("go\n");
    caller.expect("message 1\nmessage 1: 0 bytes\n");
    CHECK(printed(server, refusing.text()).ends_with("/: connect: Connection refused"));
    CHECK(printed(server, silent.text()).ends_with("/: timed out: no result came in time"));

    Server other = step(14, {"0", "http://no/name/", "http://no_such_name:1/"});
    Caller another = other.call("B");
    another.send("go\n");
    another.expect("message 1\n");
    CHECK(printed(other, "http://no/name").find("no address for \"no\"") != std::string::npos);
}

TEST_CASE("step 14: a name is looked up in a thread") {
    Server web = web_servers();
    const std::string url = "http://LOCALHOST:" + std::to_string(web.port()) + "/counted";
    Server server = step(14, {"0", url, url});
    Caller caller = server.call("A");
    caller.send("go\n");
    caller.expect("message 1\nmessage 1: 380 bytes\n");
}

TEST_CASE("step 14: pages that nobody waits for any more are given up, and their sockets closed") {
    Server web = web_servers();
    Server server = step(14, {"0", at(web, "/silent"), at(web, "/stall")}, with_rubbish());
    const Counts before = server.counts();
    for (int i = 0; i < 10; ++i) {
        Caller leaver = server.call("leaver");
        leaver.send("go\n");
        leaver.expect_line_like("message *");
        leaver.reset();
    }
    server.settle(before);
}

TEST_CASE("step 14: who sends many messages has at most eight of them under way") {
    Server web = web_servers();
    Server server = step(14, {"0", at(web, "/silent"), at(web, "/silent")});
    const Counts before = server.counts();
    Caller caller = server.call("A");
    caller.send(repeated(1000, "go\n"));
    for (int i = 1; i <= 8; ++i)
        caller.expect("message " + std::to_string(i) + "\n");
    caller.expect_silence(300ms);
    CHECK(server.counts().descriptors <= before.descriptors + 17);
}

TEST_CASE("step 15: every byte crosses, both ways, and so does a half-close") {
    Server server = step(7);
    Server proxy = step(15, {"0", std::to_string(server.port())});
    Caller caller = greeted(proxy, "A");
    caller.send("big 8000000\n");
    caller.expect(big_answer(8'000'000), 20s);
    caller.send("sink 8000000\n");
    caller.send(big_bytes(8'000'000), 20s);
    caller.expect_line_like("sunk 8000000 " + big_sum(8'000'000).substr(4, 8));
    caller.send("echo one\necho two");
    caller.half_close();
    caller.expect("one\ntwo\n");
    caller.expect_end();
}

TEST_CASE("step 15: a caller who does not read makes the server wait, and the proxy keeps little") {
    Server server = step(7);
    Server proxy = step(15, {"0", std::to_string(server.port())});
    std::vector<Caller> callers;
    for (int i = 0; i < 4; ++i)
        callers.push_back(greeted(proxy, std::to_string(i), {.receive_buffer = 65536}));
    const std::size_t before = proxy.memory().resident;
    for (Caller& caller : callers) {
        caller.send("big 50000000\n");
        caller.expect(big_bytes(1000));
        caller.stop_reading();
    }
    expect_service(proxy, "polite");
    CHECK(proxy.memory().resident < before + 8'000'000);
    callers[0].expect(big_answer(50'000'000).substr(1000), 30s);
}

TEST_CASE("step 15: who is lost on one side is lost on the other; and nothing stays behind") {
    Server server = step(7);
    Server proxy = step(15, {"0", std::to_string(server.port())}, with_rubbish());
    const Counts before = proxy.counts();
    const Counts there = server.counts();
    for (int i = 0; i < 10; ++i) {
        Caller rude = greeted(proxy, "rude");
        rude.send("big 8000000\n");
        rude.reset();
        Caller quick = proxy.call("quick"); // Gone before the server has been called.
        quick.reset();
    }
    proxy.settle(before);
    server.settle(there);
    Caller caller = greeted(proxy, "A");
    caller.send("big 50000000\n");
    caller.expect(big_bytes(1000));
    server.kill();
    caller.expect_gone();
    caller.close();
    proxy.settle(before);
}

TEST_CASE("step 15: where no server answers, the caller is not left alone") {
    const Port refusing(Port::Habit::refuses);
    Server proxy = step(15, {"0", refusing.text()});
    Caller caller = proxy.call("A");
    caller.expect_gone();
    CHECK(line_with("no server", [&] { return proxy.log(); }) ==
          "no server for a caller: connect: Connection refused");
}
