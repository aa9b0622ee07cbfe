// The proofs of lesson 06. A case named "step N: ..." passes on step N and fails on step N - 1.
#include "step.hpp"
#include "talk.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

Caller shouted_at(Server& server, const std::string& name, const CallerOptions& options = {}) {
    Caller caller = server.call(name, options);
    caller.expect("Say it, I shout it\n");
    return caller;
}

// Waits until something holds. A broken expectation throws, and so does one that takes too long.
void expect_soon(Server& server, const std::string& what, const auto& holds) {
    const Deadline deadline = scaled(5s);
    while (!holds()) {
        if (deadline.passed()) server.fail(Outcome::too_slow, "expected: " + what);
        std::this_thread::sleep_for(5ms); // between two looks
    }
}

void expect_in_log(Server& server, const std::string& text) {
    expect_soon(server, "in the log: " + text,
                [&] { return server.log().find(text) != std::string::npos; });
}

// What the caller hears when they ask by whom they are served.
std::string who_serves(Caller& caller) {
    caller.send("who\n");
    return caller.expect_line();
}

struct sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    return address;
}

// A client that the testkit has not: datagrams, and paths.
class Client {
public:
    Client(int family, int type) : fd_(::socket(family, type | SOCK_CLOEXEC, 0)) {}

    bool reach(const auto& address) const {
        return ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
               0;
    }
    bool bind_to(const std::string& path) const {
        const sockaddr_un address = unix_address(path);
        return ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    bool say(const std::string& text) const {
        return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == std::ssize(text);
    }

    // One datagram, or what has come; nothing if nothing comes.
    std::optional<std::string> hear() const {
        pollfd news{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&news, 1, static_cast<int>(5000 * timeout_scale())) != 1) return std::nullopt;
        std::string text(70'000, '\0');
        const auto count = ::recv(fd_.get(), text.data(), text.size(), 0);
        if (count == -1) return std::nullopt;
        text.resize(static_cast<std::size_t>(count));
        return text;
    }

private:
    OwnedFd fd_;
};

Client udp_client(const Server& server) {
    Client client(AF_INET, SOCK_DGRAM);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<in_port_t>(server.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(client.reach(address));
    return client;
}

// A folder of our own, which ends with us.
class Folder {
public:
    Folder()
        : path_(std::filesystem::temp_directory_path() / ("06-" + std::to_string(::getpid()))) {
        std::filesystem::create_directory(path_);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

// Step 6 at these paths, and it listens.
void expect_listening(Server& server) {
    expect_soon(server, "it listens", [&] { return server.out().find("listening on") == 0; });
}

std::optional<std::string> shouted_by(const std::string& path, const std::string& text) {
    const Client client(AF_UNIX, SOCK_STREAM);
    if (!client.reach(unix_address(path)) || !client.say(text)) return std::nullopt;
    return client.hear();
}

// The states of the connections and listeners that a process holds.
std::multiset<int> sockets_held_by(pid_t pid) {
    std::map<unsigned long, int> state_of;
    for (const TcpRow& row : tcp_rows())
        state_of[row.inode] = row.state;
    std::multiset<int> states;
    for (const Socket& socket : sockets_of(pid))
        if (state_of.contains(socket.inode)) states.insert(state_of[socket.inode]);
    return states;
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
    Caller thrower = server.call("thrower");
    thrower.send("throw\n");
    thrower.expect_end();
    Caller caller = server.call("A");
    caller.send("hello\n");
    caller.expect("HELLO\n");
    caller.expect_end();
    const std::string stations = "setup\nhandle\nfinish\n";
    const std::string thrown = "lost a caller: the handler was asked to throw\n";
    expect_soon(server, stations + thrown + stations,
                [&] { return server.log() == stations + thrown + stations; });
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

TEST_CASE("step 5: a datagram is a request: an empty one, two at once, one that is too long") {
    Server server = step(5);
    const Client a = udp_client(server);
    const Client b = udp_client(server);
    CHECK(a.say("hello\nyou\n"));
    CHECK(b.say(""));
    CHECK(a.hear() == "HELLO\nYOU\n");
    CHECK(b.hear() == "");
    CHECK(a.say(std::string(8'193, 'x')));
    CHECK(a.say(std::string(8'192, 'x')));
    CHECK(a.hear() == std::string(8'192, 'X'));
    expect_in_log(server, "dropped a datagram of 8193 bytes: max_packet_size is 8192");
}

TEST_CASE("step 6: a path, for the same user only, with connections and with datagrams") {
    const Folder folder;
    const mode_t before = ::umask(0);
    Server server = step(6, {folder / "upper"}, {.ready = Ready::at_once});
    ::umask(before);
    expect_listening(server);
    for (const std::string kind : {".stream", ".datagram"}) {
        struct stat there {};
        CHECK(::stat((folder / ("upper" + kind)).c_str(), &there) == 0);
        CHECK((there.st_mode & 07777) == 0600);
    }
    CHECK(shouted_by(folder / "upper.stream", "hello\n") == "HELLO\n");

    // Who has no address cannot be answered; the next one can.
    const Client nameless(AF_UNIX, SOCK_DGRAM);
    CHECK(nameless.reach(unix_address(folder / "upper.datagram")));
    CHECK(nameless.say("hello"));
    expect_in_log(server, "lost a caller: sendto: ");
    const Client named(AF_UNIX, SOCK_DGRAM);
    CHECK(named.bind_to(folder / "client"));
    CHECK(named.reach(unix_address(folder / "upper.datagram")));
    CHECK(named.say("hello"));
    CHECK(named.hear() == "HELLO");
}

TEST_CASE("step 6: a dead one's path is taken over; a living one's is not, nor any other file") {
    const Folder folder;
    Server first = step(6, {folder / "upper"}, {.ready = Ready::at_once});
    expect_listening(first);
    Server second = step(6, {folder / "upper"}, {.ready = Ready::at_once});
    CHECK(second.wait_exit() == 1);
    CHECK(shouted_by(folder / "upper.stream", "alive\n") == "ALIVE\n");
    first.kill();
    CHECK(!shouted_by(folder / "upper.stream", "dead\n"));
    Server third = step(6, {folder / "upper"}, {.ready = Ready::at_once});
    expect_listening(third);
    CHECK(shouted_by(folder / "upper.stream", "again\n") == "AGAIN\n");

    std::ofstream(folder / "letter.stream") << "keep me";
    Server fourth = step(6, {folder / "letter"}, {.ready = Ready::at_once});
    CHECK(fourth.wait_exit() == 1);
    std::string kept;
    std::getline(std::ifstream(folder / "letter.stream"), kept);
    CHECK(kept == "keep me");
    Server fifth = step(6, {folder / std::string(110, 'x')}, {.ready = Ready::at_once});
    CHECK(fifth.wait_exit() == 1);
    CHECK(fifth.log().find("1 to 107 are possible") != std::string::npos);
}

TEST_CASE("step 6: a server whose accept queue is full lives, and keeps its path") {
    const Folder folder;
    const sockaddr_un address = unix_address(folder / "full.stream");
    const OwnedFd busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(busy.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(busy.get(), 0) == 0);
    std::list<Client> queue;
    do
        queue.emplace_back(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
    while (queue.back().reach(address));
    Server second = step(6, {folder / "full"}, {.ready = Ready::at_once});
    CHECK(second.wait_exit() == 1);
    CHECK(second.log().find("Address already in use") != std::string::npos);
}

TEST_CASE("step 6: a folder that stays locked ends the start with a sentence") {
    const Folder folder;
    const OwnedFd lock(::open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(::flock(lock.get(), LOCK_EX | LOCK_NB) == 0);
    Server locked_out = step(6, {folder / "upper"}, {.ready = Ready::at_once});
    CHECK(locked_out.wait_exit() == 1);
    CHECK(locked_out.log().find("another program has locked the folder ") != std::string::npos);
    REQUIRE(::flock(lock.get(), LOCK_UN) == 0);
    Server free = step(6, {folder / "upper"}, {.ready = Ready::at_once});
    expect_listening(free);
}

TEST_CASE("step 7: all at once, each by a thread of its own, and nothing is left of them") {
    Server server = step(7);
    // With the first thread comes one of ThreadSanitizer's own, which stays: we count from here.
    Caller first = shouted_at(server, "first");
    const Counts with_one = server.counts();
    std::set<std::string> threads = {who_serves(first)};
    std::vector<Caller> callers;
    for (int i = 0; i < 3; ++i) {
        callers.push_back(shouted_at(server, std::to_string(i)));
        threads.insert(who_serves(callers.back()));
    }
    CHECK(threads.size() == 4);
    CHECK(threads.begin()->starts_with("thread "));
    CHECK(server.threads() == with_one.threads + 3);
    callers.clear();
    server.settle(with_one);
}

TEST_CASE(
    "step 8: all at once, each by a process of its own, with one connection and no listener") {
    Server server = step(8);
    const Counts before = server.counts();
    std::list<Caller> callers;
    for (int i = 0; i < 3; ++i)
        callers.push_back(shouted_at(server, std::to_string(i)));
    std::set<std::string> processes;
    for (Caller& caller : callers) {
        const std::string process = who_serves(caller);
        REQUIRE(process.starts_with("process "));
        processes.insert(process);
        CHECK(sockets_held_by(std::stoi(process.substr(8))) == std::multiset{tcp_established});
    }
    CHECK(processes.size() == 3);
    CHECK(sockets_held_by(server.pid()) == std::multiset{tcp_listen});
    callers.clear();
    server.settle(before);
    CHECK(server.zombies() == 0);
}

TEST_CASE("step 8: a crash ends one caller; the 41st waits until there is room") {
    Server server = step(8);
    Caller crasher = shouted_at(server, "crasher");
    crasher.send("crash\n");
    crasher.expect_gone();
    std::list<Caller> callers;
    for (int i = 0; i < 40; ++i)
        callers.push_back(shouted_at(server, std::to_string(i)));
    Caller last = server.call("last");
    last.expect_silence(200ms);
    callers.pop_front();
    last.expect("Say it, I shout it\n");
    expect_in_log(server, "died: Aborted");
}

TEST_CASE("step 9: shutdown() by the thread that serves is an error; stop_soon() ends it") {
    Server server = step(9);
    Caller first = shouted_at(server, "first");
    first.send("shutdown\n");
    first.expect_end();
    expect_in_log(server, "this is its own thread: call stop_soon()");
    Caller second = shouted_at(server, "second");
    second.send("stop\nexit\n");
    second.expect_end();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 9: SIGTERM ends it out of an hour's sleep, also while somebody is on the line") {
    Server idle = step(9);
    idle.stop();
    Server server = step(9);
    Caller silent = shouted_at(server, "silent");
    server.signal(SIGTERM);
    silent.expect_end();
    CHECK(server.wait_exit() == 0);
}

TEST_CASE("step 10: one is refused, errors are counted, all others are served") {
    Server server = step(10);
    Caller refused = server.call("refused", {.from = "127.0.0.13"});
    refused.expect_end();
    for (int i = 0; i < 3; ++i) {
        Caller thrower = shouted_at(server, "thrower");
        thrower.send("throw\n");
        thrower.expect_end();
    }
    Caller caller = shouted_at(server, "A");
    caller.send("errors\n");
    caller.expect("3\n");
}

TEST_CASE("step 10: without a descriptor for the next caller it rests, and serves them later") {
    Server server = step(10);
    server.limit(RLIMIT_NOFILE, static_cast<rlim_t>(server.descriptors()));
    Caller caller = server.call("A");
    expect_in_log(server, "no room for a request");
    const auto before = server.cpu_time();
    caller.expect_silence(500ms);
    CHECK(server.cpu_time() - before < 100ms);
    server.limit(RLIMIT_NOFILE, 64);
    caller.expect("Say it, I shout it\n");
}

TEST_CASE("step 11: a server of the family, by name") {
    for (const std::string mode : {"plain", "threading", "forking"}) {
        CAPTURE(mode);
        Server server = step(11, {"--mode", mode});
        Caller caller = server.call("A");
        const std::string greeting = caller.expect_line_like("Welcome to 10086, *TCPServer, *");
        CHECK((greeting.find("Threading") != std::string::npos) == (mode == "threading"));
        CHECK((greeting.find("Forking") != std::string::npos) == (mode == "forking"));
        caller.send("echo hello\nexit\n");
        caller.expect("hello\n");
        caller.expect_end();
        server.stop();
    }
}

TEST_CASE(
    "the server: with --max-clients 2 the third waits in the queue, without work for anybody") {
    for (const std::string mode : {"threading", "forking"}) {
        CAPTURE(mode);
        Server server = step(11, {"--mode", mode, "--max-clients", "2"});
        Caller a = greeted(server, "A");
        const Caller b = greeted(server, "B");
        Caller c = server.call("C");
        const auto before = server.cpu_time();
        c.expect_silence(500ms);
        CHECK(server.cpu_time() - before < 150ms);
        a.close();
        c.expect_line_like("Welcome to 10086, *");
    }
}

TEST_CASE(
    "the server: SIGTERM in the middle of an answer: it is finished, and sleepers are cut off") {
    for (const std::string mode : {"plain", "threading", "forking"}) {
        CAPTURE(mode);
        Server server = step(11, {"--mode", mode});
        std::optional<Caller> silent;
        std::optional<Caller> sleeper;
        if (mode != "plain") {
            silent.emplace(greeted(server, "silent"));
            sleeper.emplace(greeted(server, "sleeper"));
            sleeper->send("sleep 60000\n");
        }
        Caller caller = greeted(server, "A");
        const std::string answer = big_answer(long_answer());
        caller.send("big " + std::to_string(long_answer()) + "\n");
        caller.read_exactly(1);
        server.signal(SIGTERM);
        caller.expect(answer.substr(1));
        caller.expect_end();
        caller.close();
        if (silent) silent->expect_end();
        CHECK(server.wait_exit(2s) == 0);
    }
}
