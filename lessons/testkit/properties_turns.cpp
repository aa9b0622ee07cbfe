// P14 to P16 and P22 to P24: what one caller's habits mean for the others.
#include "properties.hpp"

#include <algorithm>
#include <charconv>
#include <future>
#include <map>
#include <set>

using namespace std::chrono_literals;

namespace {

constexpr Seconds at_once = 1s; // wide: a loaded machine is slow, too; what waits here waits longer

void expect_at_once(Server& server, Seconds waited, const std::string& what) {
    if (waited > at_once * patience())
        server.fail(Outcome::too_slow, what + " took " + spelled(waited) + ", expected at most " +
                                           spelled(at_once * patience()));
}

// B waits while `hold` holds the server, and is served as soon as A leaves.
std::string held_up(Server& server, Caller& a, const std::string& reason) {
    Caller b = server.call("B");
    const auto came = Clock::now();
    b.send("0\n");
    b.expect_silence(600ms);
    const auto left = Clock::now();
    a.reset();
    b.expect_line_like("Welcome to 10086, *");
    b.expect("0000\n");
    const Seconds after = Clock::now() - left;
    expect_at_once(server, after, "B's greeting after A left");
    return "B waits " + duration(left - came) + reason + ", and is served " + duration(after) +
           " after A left";
}

} // namespace

std::string silent_first(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    b.send("0\n");
    b.expect("0000\n");
    const Seconds waited = b.waited();
    expect_at_once(server, waited, "B's answer");
    a.send("0\n");
    a.expect("0000\n");
    return "B is answered after " + duration(waited) + " while A is silent";
}

std::string silent_first_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    return held_up(server, a, " while A is silent");
}

std::string one_sleeps(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    Caller b = greeted(server, "B");
    a.send("sleep " + std::to_string(static_cast<int>(4000 * patience())) + '\n');
    Seconds longest(0);
    for (int i = 0; i < 20; ++i) { // the first of them may come before A's handler sleeps
        b.send("0\n");
        b.expect("0000\n");
        longest = std::max(longest, b.waited());
    }
    if (a.has_news())
        server.fail(Outcome::too_slow, "A's sleep was over before B had his 20 answers");
    return "20 answers to B, the slowest after " + duration(longest) + ", while A's handler sleeps";
}

std::string one_sleeps_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    if (ground.serves_one_at_a_time()) {
        a.send("sleep 600\n");
        Caller b = server.call("B");
        b.send("0\n");
        b.expect_silence(400ms);
        a.expect("ok\n");
        a.close();
        b.expect_line_like("Welcome to 10086, *");
        b.expect("0000\n");
        return "B is served after " + duration(b.waited()) + ", when A's handler has slept";
    }
    Caller b = greeted(server, "B");
    a.send("sleep 600\n");
    Seconds longest(0);
    while (!a.has_news()) { // one of B's questions comes while the handler sleeps
        b.send("0\n");
        b.expect("0000\n");
        longest = std::max(longest, b.waited());
    }
    a.expect("ok\n");
    if (longest < 400ms)
        server.fail(Outcome::wrong_bytes, "B was answered while A's handler slept, each time "
                                          "within " +
                                              duration(longest));
    return "B's answer takes " + duration(longest) + " while A's handler sleeps";
}

std::string never_reader(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    a.send("big 500000000\n");
    a.stop_reading();
    Caller b = greeted(server, "B");
    Seconds longest(0);
    const Deadline long_enough(700ms); // for every buffer between the two to be full
    while (!long_enough.passed()) {
        b.send("0\n");
        b.expect("0000\n");
        longest = std::max(longest, b.waited());
    }
    expect_at_once(server, longest, "B's slowest answer");
    return "B's slowest answer takes " + duration(longest) + " while A never reads";
}

std::string never_reader_limit(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    a.send("big 500000000\n");
    a.stop_reading();
    return held_up(server, a, " while A never reads");
}

std::string exact_count(const Ground& ground) {
    constexpr int callers = 8;
    constexpr int each = 1000;
    constexpr int at_a_time = 50;
    Server server = start(ground);
    std::vector<std::future<std::vector<int>>> countings;
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

constexpr int sayings = 200;

std::string saying(int speaker, int number) {
    return "caller " + std::to_string(speaker) + " number " + std::to_string(number) + ' ' +
           std::string(static_cast<std::size_t>(number * 7 % 300), 'z');
}

// Takes in one line that another caller said: whole, and later than his one before.
void take_saying(Server& server, const std::string& line, std::map<int, int>& last_heard) {
    int speaker = -1;
    int number = -1;
    const std::size_t text = line.find(": caller ");
    if (text != std::string::npos)
        std::sscanf(line.c_str() + text, ": caller %d number %d ", &speaker, &number);
    const bool whole = number >= 0 && line.substr(text + 2) == saying(speaker, number);
    if (!whole || (last_heard.contains(speaker) && last_heard[speaker] >= number))
        server.fail(Outcome::wrong_bytes, quoted(line) + " is no line that anybody said, or it "
                                                         "comes out of its order");
    last_heard[speaker] = number;
}

// Says his lines, asks for something long in between, and reads all the while. Returns how many
// lines of others he heard.
int gossip(Server& server, Caller& caller, int speaker) {
    const std::string wide = big_bytes(20'000);
    std::map<int, int> last_heard;
    int heard = 0;
    int answers = 0;
    const auto listen_until = [&](int wanted) {
        while (answers < wanted) {
            const std::string line = caller.expect_line(20s);
            if (line.starts_with("missed ")) continue; // a mailbox has its bounds
            const bool answer = line == "said" || line == wide || line + '\n' == big_sum(20'000);
            if (answer)
                ++answers;
            else
                take_saying(server, line, last_heard), ++heard;
        }
    };
    for (int number = 0; number < sayings; ++number) {
        const bool asks = number % 20 == 0;
        caller.send("say " + saying(speaker, number) + '\n' + (asks ? "big 20000\n" : ""));
        listen_until(answers + (asks ? 3 : 1));
    }
    return heard;
}

} // namespace

std::string said_lines(const Ground& ground) {
    Server server = start(ground);
    std::vector<Caller> callers;
    for (int i = 0; i < 4; ++i)
        callers.push_back(greeted(server, std::to_string(i)));
    std::vector<std::future<int>> talks;
    for (int i = 0; i < 4; ++i)
        talks.push_back(std::async(std::launch::async, gossip, std::ref(server),
                                   std::ref(callers[static_cast<std::size_t>(i)]), i));
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
