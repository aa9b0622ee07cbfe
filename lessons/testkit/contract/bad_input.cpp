// The contract, bad input: bytes that no polite caller sends, and what is to come back.
#include "contract.hpp"
#include "hotline_model.hpp"

#include <sys/socket.h>

#include <future>

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

struct Input {
    std::string name;
    std::string bytes;
};

std::string all_bytes() {
    std::string all;
    for (int value = 0; value < 256; ++value)
        all += static_cast<char>(value);
    return all;
}

// Words that look like requests, and are: the answer is in the details.
const std::vector<std::string> requests = {
    "0",
    "00",
    " 0",
    "0 ",
    "0 0",
    "O",
    "zero",
    "-0",
    "echo",
    "echo ",
    "echo  two spaces",
    "echo\ttab",
    " echo a",
    "Echo a",
    "ECHO",
    "echoa",
    "echo \r",
    "upper",
    "upper ",
    "upper aZ09{|}~",
    "upper \xc3\xa9\xff",
    "UPPER a",
    "say",
    "say ",
    "say a",
    "SAY",
    "sleep",
    "sleep ",
    "sleep 0",
    "sleep 1",
    "sleep 007",
    "sleep -1",
    "sleep 60001",
    "sleep 1.5",
    "sleep 1 ",
    "sleep  1",
    "sleep 99999999999999999999",
    "sleep 0x1",
    "sleep +1",
    "sleep 1e1",
    "big",
    "big ",
    "big 0",
    "big 1",
    "big 23",
    "big 00024",
    "big 70000",
    "big -1",
    "big 1000000001",
    "big 18446744073709551617",
    "big 4294967297x",
    "big 5 5",
    "BIG 5",
    "big 5\v",
    "sink",
    "sink ",
    "sink -5",
    "sink 1000000001",
    "sink 18446744073709551621",
    "sink x",
    "SINK 0",
    "count 1",
    "Count",
    "time ",
    "TIME",
    "who am i",
    "Who",
    "crash now",
    "CRASH",
    "exit now",
    "exit ",
    "quit",
    "\r0",
    "0\r",
    "0\r\r",
    "\r",
    "\r\r",
    "%s%n%p",
    "echo %s%n",
};

// Inputs of every kind, as they may come from other programs.
std::vector<Input> odd_inputs() {
    return {
        {"nothing", ""},
        {"a newline", "\n"},
        {"ten thousand empty lines", repeated(10'000, "\n")},
        {"CR LF", "\r\n"},
        {"LF CR", "\n\r\n"},
        {"half a line", "echo hal"},
        {"half a number", "0\nbig 1"},
        {"a NUL byte", "\0\n"s},
        {"NUL bytes inside", "ec\0ho a\necho a\0b\n\0echo\n"s},
        {"0xFF", "\xff\n\xff\xff\xff\xff\n"},
        {"all 256 values", "echo " + all_bytes() + "\nupper " + all_bytes() + '\n'},
        {"invalid UTF-8", "echo \xc0\x80\nupper \xed\xa0\x80\necho \xf5\xf6\n\x80\n"},
        {"terminal escapes", "\x1b]0;owned\x07\x1b[2J\necho \x1b[31m\n"},
        {"telnet's commands", "\xff\xfb\x1f\xff\xfd\x01\xff\xf4\xff\xfd\x06\r\n"},
        {"an HTTP request", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"},
        {"an SSH banner", "SSH-2.0-OpenSSH_9.2p1\r\n"},
        {"a TLS ClientHello", "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"s + noise(32, 1) +
                                  "\x00\x00\x02\x13\x01\x01\x00\n"s},
        {"a MiB of noise", noise(mebibyte, 2)},
        {"a sink", "sink 5\nab\nde0\n"},
        {"a sink that stays open", "0\nsink 5\nabcd"},
        {"an empty sink", "sink 0\n0\n"},
        {"a sink of lines that are too long", "sink 5000\n" + noise(5000, 3) + "0\n"},
        {"exit, and more", "0\nexit\n0\n0\n"},
        {"exit in capitals", "EXIT\n0\n"},
        {"exit and a CR", "eXiT\r\n0\n"},
        {"exit without a newline", "0\nexit"},
        {"a thousand requests in one piece", repeated(250, "0\necho a\nupper b\nbig 30\n")},
        {"a big one and a small one", "big 300000\n0\n"},
    };
}

std::vector<Input> table() {
    std::vector<Input> inputs = odd_inputs();
    for (const std::string& request : requests)
        inputs.push_back({"the line " + in_quotes(request), request + "\n0\n"});
    const std::vector<std::size_t> sizes = {1023,   1024,   1025,   1026,   2048,
                                            65'535, 65'536, 65'537, 1 << 20};
    for (const std::size_t size : sizes)
        for (const char* const ending : {"\n", "\r\n", "\r\r\n", "x\r\n"})
            inputs.push_back(
                {"a line of " + std::to_string(size) + " bytes and " + in_quotes(ending),
                 "0\necho " + std::string(size - 5, 'x') + ending + "0\n"});
    inputs.push_back({"1,024 bytes at the end", "echo " + std::string(1019, 'x')});
    inputs.push_back({"1,025 bytes at the end", "echo " + std::string(1020, 'x')});
    return inputs;
}

} // namespace

TEST_CASE("B1: to whatever bytes the hotline gives the answer that the protocol has") {
    Server server = start(Service::hotline);
    for (const Input& input : table()) {
        INFO(input.name);
        Caller caller = greeted(server, "A");
        const std::string expected = answers_to(input.bytes);
        caller.send(input.bytes);
        caller.half_close();
        caller.expect(expected);
        caller.expect_end();
    }
    expect_well(server, Service::hotline);
}

TEST_CASE("B2: and echo gives the bytes") {
    Server server = start(Service::echo);
    for (const Input& input : table()) {
        INFO(input.name);
        Caller caller = server.call("A");
        caller.send(input.bytes);
        caller.half_close();
        caller.expect(input.bytes);
        caller.expect_end();
    }
    expect_well(server, Service::echo);
}

TEST_CASE("B3: every message, cut at every byte, has the answer of the whole") {
    const std::vector<std::string> messages = {
        "0\r\n",        "echo hi\n",         "upper \xc3\xa9t\xc3\xa9\r\n",
        "sleep 1\n",    "big 30\n",          "say hi\n",
        "sink 4\nwxyz", "sink 3\n\n\r\n0\n", "what?\n",
        "\n\n\r\n",     "big 1x\n",          "echo a\nupper b\n0\n",
    };
    Server server = start(Service::hotline);
    Caller caller = greeted(server, "A");
    for (const std::string& message : messages)
        for (std::size_t cut = 0; cut <= message.size(); ++cut) {
            INFO(in_quotes(message), " cut after ", cut);
            // The answer to the 0 shows that the server has read what came with it.
            caller.send("0\n" + message.substr(0, cut));
            caller.expect("0000\n");
            caller.send(message.substr(cut));
            caller.expect(answers_to(message));
        }
    caller.close();
    expect_well(server, Service::hotline);
}

TEST_CASE("B4: a line at its limit, wherever it is cut") {
    Server server = start(Service::hotline);
    for (const std::string ending : {"\n", "\r\n", "x\n", "x\r\n", "\rx\n"}) {
        const std::string line = "echo " + std::string(1019, 'y') + ending + "0\n";
        for (std::size_t cut = 1020; cut <= line.size(); ++cut) {
            INFO("1,024 bytes and ", in_quotes(ending), " cut after ", cut);
            Caller caller = greeted(server, "A");
            caller.send("0\n" + line.substr(0, cut));
            caller.expect("0000\n");
            caller.send(line.substr(cut));
            caller.half_close();
            caller.expect(answers_to(line));
            caller.expect_end();
        }
    }
    expect_well(server, Service::hotline);
}

TEST_CASE("B5: all is said, and the caller is gone") {
    const std::string words = "0\necho hello\nbig 100000\n" + std::string(900, 'x');
    for (const Service service : both_services) {
        Server server = start(service);
        for (int i = 0; i < 10; ++i) {
            Caller vanishes = server.call("data, FIN and RST");
            vanishes.send(words);
            vanishes.vanish();
            Caller resets = server.call("data and RST");
            resets.send(words);
            resets.reset();
            Caller leaves = server.call("data and FIN");
            leaves.send(words);
            leaves.close();
        }
        expect_well(server, service);
    }
}

TEST_CASE("B6: an urgent byte is none of the stream") {
    for (const Service service : both_services) {
        Server server = start(service);
        Caller caller = served(server, service, "A");
        caller.send("echo o");
        REQUIRE(::send(caller.fd(), "!", 1, MSG_OOB) == 1);
        caller.send("ne\n0\n");
        caller.expect(service == Service::hotline ? "one\n0000\n" : "echo one\n0\n");
        caller.close();
        expect_well(server, service);
    }
}

TEST_CASE("B7: one who says all of it before they listen") {
    // More answers than the buffers between the two hold: the server must wait, and lose nothing.
    Server server = start(Service::hotline);
    Caller caller = server.call("A", {.receive_buffer = 65'536});
    const std::string request = "echo " + std::string(1000, 'e') + '\n';
    constexpr std::size_t count = 12'000;
    auto saying = std::async(std::launch::async, [&] {
        caller.send(repeated(count, request), 20s);
        caller.half_close();
    });
    saying.wait_for(300ms); // by now everything is full
    caller.expect_line_like("Welcome*");
    caller.expect(repeated(count, request.substr(5)), 20s);
    saying.get();
    caller.expect_end();
    expect_well(server, Service::hotline);
}
