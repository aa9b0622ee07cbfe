// The contract, part D: the world outside.
#include "contract.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <thread>

using namespace std::chrono_literals;

namespace {

void while_it_stands_still(Server& server, const auto& happening) {
    server.signal_all(SIGSTOP);
    happening();
    server.signal_all(SIGCONT);
}

// Letters and spaces, and the end of a line: what a terminal shows and never obeys.
bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); });
}

} // namespace

TEST_CASE("D1: resets at any moment") {
    for (const Service service : both_services) {
        Server server = start(service);
        const std::string question = repeated(20'000, "echo hello, is anybody there?\n");
        for (int i = 0; i < 10; ++i) {
            server.call("at once").reset();
            served(server, service, "between two words").reset();
            Caller halfway = served(server, service, "halfway through a word");
            halfway.send("echo hal");
            halfway.reset();
            Caller loud = served(server, service, "with answers under way");
            loud.send_some(question);
            loud.reset();
        }
        expect_well(server, service);
    }
}

TEST_CASE("D2: callers who are gone before they are accepted") {
    for (const Service service : both_services) {
        Server server = start(service);
        while_it_stands_still(server, [&] {
            for (int i = 0; i < 20; ++i) {
                server.call("closes").close();
                server.call("resets").reset();
                server.call("vanishes").vanish();
                Caller said_all = server.call("says it all and resets");
                said_all.send("echo hello\n");
                said_all.reset();
            }
        });
        expect_well(server, service);
    }
}

TEST_CASE("D3: echo, too, writes to callers who are gone") {
    Server server = start(Service::echo);
    for (int i = 0; i < 10; ++i) {
        Caller vanishes = served(server, Service::echo, "vanishes");
        while_it_stands_still(server, [&] {
            vanishes.send(noise(100'000, 3));
            vanishes.vanish(); // now the first answer meets EPIPE
        });
        Caller closes = served(server, Service::echo, "closes", {.receive_buffer = 65'536});
        closes.send_some(noise(mebibyte, 4));
        closes.close(); // with answers unread: reset while the server writes
    }
    expect_well(server, Service::echo);
}

TEST_CASE("D4: signals that are no reason to end, whatever it waits for") {
    constexpr std::array harmless = {SIGPIPE, SIGCHLD, SIGWINCH, SIGURG, SIGCONT, SIGSTOP, SIGCONT};
    for (const Service service : both_services) {
        Server server = start(service);
        const auto send_all = [&] {
            for (const int number : harmless)
                server.signal_all(number);
        };
        send_all(); // nobody is there
        Caller caller = served(server, service, "A");
        for (int round = 0; round < 3; ++round) {
            send_all(); // a caller is silent
            caller.send("echo he");
            send_all(); // halfway through a word
            caller.send("llo\n");
            caller.expect(service == Service::hotline ? "hello\n" : "echo hello\n");
        }
        send_all();
        caller.close();
        expect_well(server, service);
    }
}

TEST_CASE("D5: nobody reads its log any more") {
    for (const Service service : both_services) {
        Server server = start(service);
        served(server, service, "the first").close();
        server.hang_up_log();
        for (int i = 0; i < 5; ++i) {
            Caller caller = served(server, service, "rude");
            caller.send_some(repeated(2000, "echo something for the log\n"));
            caller.reset();
        }
        expect_well(server, service);
    }
}

TEST_CASE("D6: without a free descriptor it says so calmly, and nobody is forgotten") {
    Server server = start(Service::hotline);
    at_rest(server, Service::hotline);
    // A server that waits in accept() has the next caller's descriptor already.
    Caller lucky = served(server, Service::hotline, "lucky");
    const auto lowest = static_cast<rlim_t>(lowest_free_descriptor(server.pid()));
    const std::size_t before = lines_in(server.log());
    server.limit(RLIMIT_NOFILE, lowest);
    lucky.close();
    std::vector<Caller> waiting;
    for (int i = 0; i < 3; ++i)
        waiting.push_back(server.call(std::to_string(i)));
    // Where each has a process or a loop of their own, one more may get through. The rest wait.
    const auto begin = Clock::now();
    std::this_thread::sleep_for(1500ms);
    const double lines = static_cast<double>(lines_in(server.log()) - before);
    CHECK(lines <= 2 + 2 * Seconds(Clock::now() - begin).count());
    server.limit(RLIMIT_NOFILE, 1024);
    for (Caller& caller : waiting) {
        if (!caller.hears_now("Welcome")) caller.has_news();
        try {
            caller.expect_line_like("Welcome*");
        } catch (const Unexpected& unexpected) {
            if (unexpected.outcome() != Outcome::eof_early) throw; // closed: they know at least
        }
        caller.close();
    }
    expect_well(server, Service::hotline);
}

TEST_CASE("D7: nothing that a caller says reaches the log as it is") {
    const std::string title = "\x1b]0;owned\x07"; // what they do to a terminal
    const std::string clear = "\x1b[2J\x1b[31m";
    const std::string bell = "\x07\x08\x7f\xc2\x9b\r\n";
    for (const Service service : both_services) {
        Server server = start(service);
        const Counts alone = at_rest(server, service);
        for (const std::string& escape : {title, clear, bell}) {
            for (const char* const verb :
                 {"", "echo ", "big ", "sleep ", "sink ", "exit ", "say "}) {
                Caller caller = served(server, service, "A");
                caller.send_some(verb + escape + '\n' + verb + escape); // and no newline
                caller.reset();
            }
            server.settle(alone); // or the next caller hears what this one has said
            Caller long_one = served(server, service, "long");
            long_one.send_some(repeated(500, escape));
            long_one.reset();
        }
        served(server, service, "the next").close();
        server.stop();
        CHECK_MESSAGE(is_plain(server.log()), server.log());
        CHECK(is_plain(server.out()));
    }
}
