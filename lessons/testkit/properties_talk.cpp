// P01 to P06 and P13: one caller, and every way in which bytes can be cut.
#include "properties.hpp"

#include <future>
#include <thread>

using namespace std::chrono_literals;

std::string greeting(const Ground& ground) {
    Server server = start(ground);
    Caller a = server.call("A");
    const std::string line = a.expect_line_like("Welcome to 10086, *, pid *, thread *");
    const Seconds waited = a.waited();
    a.send("0\n");
    a.expect("0000\n");
    return '"' + line + "\" after " + duration(waited);
}

std::string byte_by_byte(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    const std::string request = "echo a\\b\r\nupper c\n";
    for (const char byte : request) {
        a.send({&byte, 1});
        std::this_thread::sleep_for(2ms); // the habit of this caller
    }
    a.expect("a\\b\nC\n");
    return "two requests in " + counted(request.size(), "segment") + " are two answers";
}

std::string three_in_one(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    a.send("0\necho hey\nwhat?\n");
    a.expect("0000\nhey\nDo it again\n");
    return "three requests in one segment are three answers";
}

std::string in_order(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    std::string requests;
    std::string answers;
    for (int i = 0; i < 600; ++i) {
        const std::string number = std::to_string(i);
        requests += i % 2 == 0 ? "echo a" + number + '\n' : "upper b" + number + '\n';
        answers += (i % 2 == 0 ? 'a' : 'B') + number + '\n';
        if (i % 100 != 0) continue;
        requests += "sleep 10\nbig 70000\n"; // slow answers must not be overtaken
        answers += "ok\n" + big_answer(70'000);
    }
    auto asking = std::async(std::launch::async, [&] { a.send(requests); });
    a.expect(answers, 20s);
    asking.get();
    return "612 requests at once, slow ones among them, are answered in their order";
}

// A small receive buffer fills at once, so the server's sends are cut short or have to wait. Its
// size matters: with 4 KB the window is so small that the kernel itself stalls.
std::string slow_reader(const Ground& ground) {
    constexpr std::size_t size = 5'000'000;
    constexpr std::size_t sip = 100'000;
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    a.send("big " + std::to_string(size) + '\n');
    const std::string bytes = big_bytes(size);
    for (std::size_t at = 0; at < size; at += sip) {
        std::this_thread::sleep_for(5ms); // the habit of this caller
        a.expect(bytes.substr(at, sip));
    }
    a.expect('\n' + big_sum(size));
    return "5,000,000 bytes in sips over " + duration(a.waited()) + ", each as it must be";
}

// The end of input is no end of the conversation: what was asked is still owed, and what was asked
// last has no newline.
std::string half_close(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A", {.receive_buffer = 65'536});
    a.send("echo one\nsleep 50\nbig 3000000\necho last"); // and no newline
    a.half_close();
    a.expect("one\nok\n");
    a.expect(big_answer(3'000'000) + "last\n");
    a.expect_end();
    return "four answers after the caller's last word, then the end of the stream";
}

std::string over_long_line(const Ground& ground) {
    Server server = start(ground);
    Caller a = greeted(server, "A");
    const std::string longest = "echo " + std::string(1019, 'x');
    // What follows the refused line is thrown away, but read: unread bytes make close() a reset.
    a.send(longest + '\n' + longest + "x\n" + repeated(100'000, "0\n"));
    a.expect(longest.substr(5) + "\nLine too long\n");
    a.expect_end();
    a.close();

    Caller b = greeted(server, "B");
    // B pours on though already refused; the server may close the door on that.
    auto pouring = std::async(std::launch::async, [&] {
        try {
            b.send(std::string(1 << 20, 'x'));
        } catch (const Unexpected& refusal) {
            if (refusal.outcome() != Outcome::reset) throw;
        }
    });
    b.expect("Line too long\n");
    b.expect_gone();
    pouring.get();
    b.close();
    expect_service(server, "C");
    return "1,024 bytes are answered; 1,025 and a million are \"Line too long\" and the end";
}
