// The hotline service: what it answers, however the bytes are cut, and how much it remembers.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "echo.hpp"
#include "play.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <malloc.h>
#include <random>
#include <string>
#include <vector>

namespace {

const std::string greeting = "Welcome to 10086, blocking, pid 42, thread 43\n";

auto always(std::size_t count) {
    return [count] { return count; };
}

// What is answered, without the greeting.
std::string answers(const std::string& input) {
    const std::string heard = play_whole(input);
    REQUIRE(heard.starts_with(greeting));
    return heard.substr(greeting.size());
}

std::string repeated(std::size_t count, const std::string& text) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i)
        all += text;
    return all;
}

// The bytes of `big`, made in another way than the service makes them.
std::string letters(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += static_cast<char>('a' + i % 23);
    return text;
}

std::string sum_of(std::string_view bytes) {
    Adler32 sum;
    sum.add(bytes);
    return sum.hex();
}

} // namespace

TEST_CASE("each verb is answered") {
    CHECK(answers("0\n") == "0000\n");
    CHECK(answers("echo hello  world \n") == "hello  world \n");
    CHECK(answers("echo\necho \n") == "\n\n");
    CHECK(answers("upper abc XYZ 123\n") == "ABC XYZ 123\n");
    CHECK(answers("time\n") == "Sat Nov 21 10:08:06 2026\n");
    CHECK(answers("who\n") == "pid 42 thread 43 descriptor 4\n");
    CHECK(answers("count\ncount\n") == "1\n2\n");
    CHECK(answers("sleep 0\nsleep 60000\n") == "ok\nok\n");
    CHECK(answers("say hello\n") == "said\n");
    CHECK(answers("big 30\n") == letters(30) + "\nsum " + sum_of(letters(30)) + "\n");
    CHECK(answers("big 0\n") == "\nsum 00000001\n");
    CHECK(answers("sink 3\nabc0\n") == "sunk 3 " + sum_of("abc") + "\n0000\n");
    CHECK(answers("sink 0\n0\n") == "sunk 0 00000001\n0000\n");
}

TEST_CASE("the checksum of the largest bytes does not overflow") {
    CHECK(sum_of("Wikipedia") == "11e60398"); // The example that most texts use.
    CHECK(sum_of(std::string(1'000'000, '\xff')) == "3843e1be");
}

TEST_CASE("what is no request is answered with Do it again") {
    const std::vector<std::string> wrong = {
        "",
        "hello",
        "Echo x",
        "0 ",
        "0 1",
        "00",
        "exit now",
        "time x",
        "who me",
        "count 2",
        "crash x",
        "sleep",
        "sleep ",
        "sleep -1",
        "sleep x",
        "sleep 1x",
        "sleep +1",
        "sleep  1",
        "sleep 60001",
        "big 1000000001",
        "big 99999999999999999999999",
        "sink 1.5",
        "big 0x10",
        " echo x",
        "\t0",
    };
    for (const auto& line : wrong) {
        CAPTURE(line);
        CHECK(answers(line + "\n") == "Do it again\n");
    }
    CHECK(answers("big 0030\n") == answers("big 30\n")); // Leading zeros are digits.
}

TEST_CASE("exit in any case ends it; what comes behind is thrown away") {
    for (const std::string exit : {"exit", "EXIT", "eXit"})
        CHECK(answers("0\n" + exit + "\n0\n0\n") == "0000\n");
}

TEST_CASE("crash calls for the handler's end, and gives no answer") {
    PlainSwitchboard switchboard;
    int crashes = 0;
    Setting setting = known_setting();
    setting.crash = [&] { ++crashes; };
    Hotline hotline(setting, switchboard);
    CHECK(play(hotline, "crash\n0\n", always(100), always(100)) == greeting);
    CHECK(crashes == 1);
}

TEST_CASE("line endings, and the last line without one") {
    CHECK(answers("echo a\r\necho b\n") == "a\nb\n");
    CHECK(answers("echo a\r\r\n") == "a\r\n"); // One is dropped, the other is text.
    CHECK(answers("echo a\necho b") == "a\nb\n");
    CHECK(answers("echo a\r") == "a\n");
    CHECK(answers("sink 5\nabc") == "");
    CHECK(answers("") == "");
}

TEST_CASE("bytes are bytes") {
    std::string all;
    for (int byte = 0; byte < 256; ++byte)
        if (byte != '\n') all += static_cast<char>(byte);
    CHECK(answers("echo " + all + "x\n") == all + "x\n");
    CHECK(answers("upper \xc3\xa4\xff\n") == "\xc3\xa4\xff\n");
}

TEST_CASE("a line may have 1,024 bytes without its ending") {
    for (const std::string end : {"\n", "\r\n", ""}) {
        const std::string longest(1019, 'x');
        CHECK(answers("echo " + longest + end) == longest + "\n");
        CHECK(answers("echo x" + longest + end + "0\n") == "Line too long\n");
        CHECK(answers("0\necho x" + longest + end) == "0000\nLine too long\n");
    }
    CHECK(answers(std::string(1 << 20, 'x')) == "Line too long\n");
}

TEST_CASE("a line that is too long is refused before its end has come") {
    PlainSwitchboard switchboard;
    Hotline hotline(known_setting(), switchboard);
    hotline.sent(greeting.size());
    hotline.receive(std::string(1024, 'x'));
    CHECK(hotline.unsent().empty());
    hotline.receive("\r"); // This may still be its ending.
    CHECK(hotline.unsent().empty());
    hotline.receive("x");
    CHECK(hotline.unsent() == "Line too long\n");
}

TEST_CASE("the answer is the same for every way of cutting") {
    const std::string script = "echo a\r\n\n0\nsink 6\nx\ny\nz\nbig 25\nupper q\nsleep 1\nwho";
    const std::string whole = play_whole(script);
    for (std::size_t first = 0; first <= script.size(); ++first)
        for (std::size_t second = first; second <= script.size(); ++second)
            for (const bool eager : {false, true}) {
                std::vector<std::size_t> cuts = {second - first, first};
                const auto listen = [&] {
                    const auto size = cuts.empty() ? script.size() : cuts.back();
                    if (!cuts.empty()) cuts.pop_back();
                    return std::max<std::size_t>(size, 1);
                };
                PlainSwitchboard switchboard;
                Hotline hotline(known_setting(), switchboard);
                CAPTURE(first);
                CAPTURE(second);
                REQUIRE(play(hotline, script, listen, always(1 << 20), eager) == whole);
            }
    for (std::size_t in = 1; in <= script.size(); ++in)
        for (std::size_t out = 1; out <= 60; ++out) {
            PlainSwitchboard switchboard;
            Hotline hotline(known_setting(), switchboard);
            CAPTURE(in);
            CAPTURE(out);
            REQUIRE(play(hotline, script, always(in), always(out)) == whole);
        }
}

namespace {

// What a conversation must be, told in the plainest way: all at once, with no limit of memory.
struct Model {
    std::mt19937& random;
    std::string input = {};
    std::string output = greeting;
    std::size_t count = 0;

    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
    }
    std::string noise(std::size_t length) {
        std::string text;
        while (text.size() < length)
            text += static_cast<char>(' ' + below(95));
        return text;
    }

    void ask(const std::string& line, const std::string& answer) {
        input += line + (below(2) == 0 ? "\n" : "\r\n");
        output += answer + "\n";
    }

    void one_request() {
        const auto text = noise(below(100));
        const auto size = below(40) == 0 ? below(200'000) : below(200);
        switch (below(9)) {
        case 0:
            return ask("0", "0000");
        case 1:
            return ask("echo " + text, text);
        case 2:
            return ask("?" + text, "Do it again");
        case 3:
            return ask("sleep " + std::to_string(size % 60'000), "ok");
        case 4:
            return ask("count", std::to_string(++count));
        case 5:
            return ask("who", "pid 42 thread 43 descriptor 4");
        case 6:
            return ask("say " + text, "said");
        case 7:
            return ask("big " + std::to_string(size),
                       letters(size) + "\nsum " + sum_of(letters(size)));
        default: {
            const auto bytes = noise(size);
            ask("sink " + std::to_string(size),
                "sunk " + std::to_string(size) + " " + sum_of(bytes));
            input += bytes;
        }
        }
    }
};

} // namespace

TEST_CASE("random conversations, cut at random") {
    // NETSTEPS_SEED repeats a run that failed.
    const char* given = std::getenv("NETSTEPS_SEED");
    const auto seed =
        given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
    MESSAGE("NETSTEPS_SEED=" << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 60; ++round) {
        Model model{random};
        for (std::size_t left = model.below(40); left > 0; --left)
            model.one_request();
        const std::size_t most_in = 1 + model.below(round % 2 == 0 ? 20 : 20'000);
        const std::size_t most_out = 1 + model.below(round % 3 == 0 ? 20 : 20'000);
        PlainSwitchboard switchboard;
        Hotline hotline(known_setting(), switchboard);
        CAPTURE(seed);
        CAPTURE(round);
        REQUIRE(play(
                    hotline, model.input, [&] { return 1 + model.below(most_in); },
                    [&] { return 1 + model.below(most_out); },
                    model.below(2) == 0) == model.output);
    }
}

TEST_CASE("requests are counted when they are complete, not before") {
    PlainSwitchboard switchboard;
    Hotline hotline(known_setting(), switchboard);
    hotline.sent(greeting.size());
    hotline.receive("ech");
    CHECK(hotline.requests() == 0);
    hotline.receive("o x\n");
    CHECK(hotline.requests() == 1);
    hotline.sent(2);
    hotline.receive("sink 3\nab");
    CHECK(hotline.requests() == 1);
    hotline.receive("c");
    CHECK(hotline.requests() == 2);
}

TEST_CASE("callers share the counter, and hear what others say") {
    PlainSwitchboard switchboard;
    Setting at_two = known_setting();
    at_two.address = "127.0.0.2:2";
    Hotline one(known_setting(), switchboard);
    Hotline two(at_two, switchboard);
    one.sent(greeting.size());
    two.sent(greeting.size());

    one.receive("count\n");
    two.receive("count\n");
    CHECK(one.unsent() == "1\n");
    CHECK(two.unsent() == "2\n");
    one.sent(2);
    two.sent(2);
    {
        Hotline three(known_setting(), switchboard);
        two.receive("say hey\n");
        CHECK(two.unsent() == "said\n");
        CHECK(one.unsent() == "127.0.0.2:2: hey\n");
    } // The third is gone: nobody may speak to it any more.
    two.sent(5);
    two.receive("say still here\n");
    CHECK(two.unsent() == "said\n");
}

TEST_CASE("what others say never comes into the middle of an answer") {
    PlainSwitchboard switchboard;
    Hotline reader(known_setting(), switchboard);
    Hotline speaker(known_setting(), switchboard);
    reader.sent(greeting.size());
    speaker.sent(greeting.size());
    reader.receive("big 100000\n");
    std::string heard;
    while (!reader.unsent().empty()) {
        heard += reader.unsent();
        reader.sent(reader.unsent().size());
        if (heard.size() < 50'000) {
            speaker.receive("say x\n");
            speaker.sent(5);
        }
    }
    const std::string answer = letters(100'000) + "\nsum " + sum_of(letters(100'000)) + "\n";
    CHECK(heard.substr(0, answer.size()) == answer);
    CHECK(heard.substr(answer.size()).starts_with("127.0.0.1:40312: x\n"));
}

TEST_CASE("who does not read misses lines, is told how many, and the others go on") {
    PlainSwitchboard switchboard;
    Hotline sleeper(known_setting(), switchboard);
    Hotline speaker(known_setting(), switchboard);
    speaker.sent(greeting.size());
    const std::string text(100, 'x');
    constexpr int said = 10'000;
    for (int i = 0; i < said; ++i) {
        speaker.receive("say " + text + "\n");
        REQUIRE(speaker.unsent() == "said\n");
        speaker.sent(5);
    }
    std::string heard;
    while (!sleeper.unsent().empty()) {
        heard += sleeper.unsent();
        sleeper.sent(sleeper.unsent().size());
    }
    const std::string line = "127.0.0.1:40312: " + text + "\n";
    const auto told = (heard.size() - greeting.size()) / line.size();
    CHECK(told < said);
    CHECK(heard ==
          greeting + repeated(told, line) + "missed " + std::to_string(said - told) + "\n");
}

TEST_CASE("while nobody reads, no further line is taken") {
    PlainSwitchboard switchboard;
    Hotline hotline(known_setting(), switchboard);
    std::size_t taken = 0;
    while (hotline.room() > 0) {
        const std::string line = repeated(100, "echo hello\n").substr(0, hotline.room());
        hotline.receive(line);
        taken += line.size();
    }
    CHECK(taken <= 16 * 1024);
    CHECK(hotline.unsent() == greeting);
    CHECK(hotline.requests() == 0);
}

TEST_CASE("memory is bounded, whatever the caller does") {
    const auto held = [] { return mallinfo2().uordblks; }; // The bytes that this process holds.
    if (held() == 0) return; // A sanitizer has its own memory, and does not count it here.
    PlainSwitchboard switchboard;
    Hotline speaker(known_setting(), switchboard);
    speaker.sent(greeting.size());
    std::string_view input;
    const std::string script = repeated(50, "big 100000\necho " + std::string(1000, 'x') + "\n") +
                               "sink 3000000\n" + std::string(3'000'000, 'y') + "big 20000000\n" +
                               repeated(20'000, "echo hello\n");
    input = script;
    const auto before = held();
    std::size_t most = 0;
    {
        Hotline hotline(known_setting(), switchboard);
        while (!hotline.finished()) {
            if (const auto piece = input.substr(0, hotline.room()); !piece.empty()) {
                hotline.receive(piece);
                input.remove_prefix(piece.size());
            } else if (!hotline.unsent().empty()) {
                if (!input.empty()) {
                    speaker.receive("say " + std::string(1000, 'z') + "\n");
                    speaker.sent(5);
                }
                hotline.sent(std::min<std::size_t>(hotline.unsent().size(), 5000));
            } else {
                hotline.end_of_input();
            }
            most = std::max(most, held() - before);
        }
    }
    CHECK(most <= 132 * 1024);
    CHECK(most >= 16 * 1024); // It was measured at all.
}

TEST_CASE("echo gives every byte back, and takes no more while any is unsent") {
    std::string bytes;
    for (int i = 0; i < 300'000; ++i)
        bytes += static_cast<char>(i * 7 + i / 256);
    for (const bool eager : {false, true})
        for (const std::size_t in : {1000UL, 70'000UL})
            for (const std::size_t out : {999UL, 70'000UL}) {
                Echo echo;
                REQUIRE(play(echo, bytes, always(in), always(out), eager) == bytes);
            }
    Echo echo;
    echo.receive("hello");
    CHECK(echo.room() == 0);
    echo.sent(4);
    CHECK(echo.room() == 0);
    CHECK(echo.unsent() == "o");
}
