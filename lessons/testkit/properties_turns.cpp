// P14 to P16 and P22 to P24: what one caller's habits mean for the others.
#include "properties.hpp"

#include <algorithm>
#include <cstdio>
#include <future>
#include <map>

using namespace std::chrono_literals;

namespace {

// B waits while A holds the server, and is served when A leaves: it is the order that counts. For
// so long B hears nothing: many times what A's own answer took, so that a server which serves B as
// well would have been quick enough.
std::string held_up(Server& server, Caller& a, Seconds answer, const std::string& reason) {
    Caller b = server.call("B");
    b.send("0\n");
    b.expect_silence(std::max(Seconds(600ms), 20 * answer));
    a.reset();
    b.expect_line_like("Welcome to 10086, *");
    b.expect("0000\n");
    return "B waits" + reason + ", and is served when A has left";
}

} // namespace

std::string silent_first(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    b.send("0\n");
    b.expect("0000\n");
    a.send("0\n"); // A's first word
    a.expect("0000\n");
    return "B is answered while A is silent";
}

std::string silent_first_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    return held_up(server, a, a.waited(), " while A is silent");
}

std::string one_sleeps(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("sleep 60000\n");
    for (int i = 0; i < 20; ++i) { // the first of them may come before A's handler sleeps
        b.send("0\n");
        b.expect("0000\n");
    }
    if (a.has_news()) server.fail(Outcome::too_slow, "A's sleep was over before B had 20 answers");
    return "B has 20 answers while A's handler sleeps";
}

std::string one_sleeps_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    if (ground.serves_one_at_a_time()) {
        a.send("sleep 600\n");
        Caller b = server.call("B");
        b.send("0\n");
        a.expect("ok\n");
        if (b.has_news()) server.fail(Outcome::wrong_bytes, "B was served while A's handler slept");
        a.close();
        b.expect_line_like("Welcome to 10086, *");
        b.expect("0000\n");
        return "B is served when A's handler has slept";
    }
    Caller b = greeted(server, "B");
    a.send("sleep 600\n");
    int meanwhile = 0; // answers to B that came before A's
    while (!a.has_news()) {
        b.send("0\n");
        b.expect("0000\n");
        if (!a.has_news()) ++meanwhile;
    }
    a.expect("ok\n");
    // A's request came first. One of B's may have been read in the same round, and before it.
    if (meanwhile > 2)
        server.fail(Outcome::wrong_bytes,
                    "B had " + counted(static_cast<std::size_t>(meanwhile), "answer") +
                        " while A's handler slept; expected to wait for its end");
    return "B is answered when A's handler has slept";
}

std::string never_reader(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    a.send("big 500000000\n"); // no buffer holds that, so a send() to A must wait or be put off
    a.stop_reading();
    Caller b = greeted(server, "B");
    // Until every buffer between the two is full, and long after that.
    int unread = -1;
    int since_full = 0;
    const Deadline at_least(700ms);
    while (since_full < 100 || !at_least.passed()) {
        b.send("0\n");
        b.expect("0000\n");
        const int now = a.unread();
        since_full = now == unread ? since_full + 1 : 0;
        unread = now;
    }
    return "B is answered all the time while A never reads";
}

std::string never_reader_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    const Seconds answer = a.waited();
    a.send("big 500000000\n");
    a.stop_reading();
    return held_up(server, a, answer, " while A never reads");
}

// A counter that is read, raised and written back without a lock loses numbers; one that fork copied
// gives each of them to several callers. Eight at once, as fewer miss the moment too often.
std::string exact_count(const Ground& ground) {
    constexpr int callers = 8;
    constexpr int each = 1000;
    constexpr int at_a_time = 50;
    Server server = start(ground);
    std::vector<std::future<std::vector<int>>> countings;
    countings.reserve(callers);
    for (int i = 0; i < callers; ++i)
        countings.push_back(std::async(std::launch::async, [&server, i] {
            Caller caller = greeted(server, std::to_string(i), {.within = 20s});
            std::vector<int> numbers;
            while (numbers.size() < each) {
                caller.send(repeated(at_a_time, "count\n"), 20s);
                for (int k = 0; k < at_a_time; ++k)
                    numbers.push_back(std::stoi(caller.expect_line(20s)));
            }
            caller.send("exit\n");
            caller.expect_end();
            return numbers;
        }));
    std::vector<int> all;
    for (auto& counting : countings) {
        const std::vector<int> numbers = counting.get();
        all.insert(all.end(), numbers.begin(), numbers.end());
    }
    std::sort(all.begin(), all.end());
    for (int i = 0; i < callers * each; ++i)
        if (all[static_cast<std::size_t>(i)] != i + 1)
            server.fail(Outcome::wrong_bytes, "the numbers 1 to 8,000 were to come once each; " +
                                                  std::to_string(i + 1) +
                                                  " is missing or comes twice");
    return "8,000 answers are the numbers 1 to 8,000, each once";
}

std::string crash_harms_one(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("crash\n");
    a.expect_gone();
    b.send("0\n");
    b.expect("0000\n");
    expect_service(server, "C");
    return "A is gone, B goes on, C is served";
}

std::string crash_harms_one_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = server.call("B");
    a.send("crash\n");
    const int status = server.expect_crash();
    a.expect_gone();
    b.expect_gone();
    try {
        server.call("C");
    } catch (const Unexpected& unexpected) {
        if (unexpected.outcome() != Outcome::refused) throw;
        return "the server ends with status " + std::to_string(status) +
               "; A and B are gone, C is refused";
    }
    server.fail(Outcome::wrong_bytes, "C could still connect");
}

namespace {

constexpr int sayings = 200; // of each speaker
constexpr std::size_t wide = 300'000;

std::string saying(std::size_t speaker, int number) {
    return "caller " + std::to_string(speaker) + " number " + std::to_string(number) + ' ' +
           std::string(static_cast<std::size_t>(number * 7 % 300), 'z');
}

// Callers who all talk at once.
struct Gossip {
    Server& server;
    std::vector<Caller> callers;

    // Takes in a line that another caller said: whole, and later than their one before.
    void take_saying(const std::string& line, std::map<std::size_t, int>& last_heard) const {
        std::size_t speaker = 0;
        int number = -1;
        const std::size_t text = line.find(": caller ");
        if (text != std::string::npos)
            std::sscanf(line.c_str() + text, ": caller %zu number %d ", &speaker, &number);
        const bool whole = number >= 0 && speaker < callers.size() &&
                           line == "127.0.0.1:" + std::to_string(callers[speaker].local_port()) +
                                       ": " + saying(speaker, number);
        if (!whole || (last_heard.contains(speaker) && last_heard[speaker] >= number))
            server.fail(Outcome::wrong_bytes,
                        in_quotes(line) +
                            " is no line that anybody said, or it comes out of order");
        last_heard[speaker] = number;
    }

    // Says lines, asks for something long in between, and reads all the while. Returns how many
    // lines of others were heard.
    int take_part(std::size_t speaker) {
        constexpr int in_a_breath = 5;
        Caller& caller = callers[speaker];
        const std::string long_answer = big_bytes(wide);
        const std::string sum = big_sum(wide).substr(0, 12);
        std::map<std::size_t, int> last_heard;
        int heard = 0;
        for (int number = 0; number < sayings; number += in_a_breath) {
            std::string breath = "big " + std::to_string(wide) + '\n';
            for (int i = 0; i < in_a_breath; ++i)
                breath += "say " + saying(speaker, number + i) + '\n';
            caller.send(breath);
            for (int answers = 0; answers < 2 + in_a_breath;) {
                const std::string line = caller.expect_line(20s);
                if (line.starts_with("missed ")) continue; // a mailbox has its bounds
                if (line == "said" || line == sum || line == long_answer) {
                    ++answers;
                    continue;
                }
                take_saying(line, last_heard);
                ++heard;
            }
        }
        return heard;
    }
};

} // namespace

std::string said_lines(const Ground& ground) {
    constexpr std::size_t speakers = 4;
    Server server = start(ground);
    Gossip gossip{server, {}};
    for (std::size_t i = 0; i < speakers; ++i)
        gossip.callers.push_back(greeted(server, std::to_string(i), {.receive_buffer = 65'536}));
    std::vector<std::future<int>> talks;
    for (std::size_t i = 0; i < speakers; ++i)
        talks.push_back(
            std::async(std::launch::async, [&gossip, i] { return gossip.take_part(i); }));
    int heard = 0;
    for (auto& talk : talks)
        heard += talk.get();
    if (heard < sayings)
        server.fail(Outcome::timeout_partial, "of 2,400 lines that were said to others only " +
                                                  std::to_string(heard) + " were heard");
    return counted(static_cast<std::size_t>(heard), "line") +
           " of other callers arrive whole and in order, none inside an answer";
}

std::string said_lines_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("say hello\n");
    a.expect("said\n");
    b.expect_silence(500ms);
    b.send("0\n");
    b.expect("0000\n");
    return "what A says reaches nobody";
}
