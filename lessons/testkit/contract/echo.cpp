// The contract, part E: every byte comes back once, in order, unchanged.
#include "contract.hpp"
#include "hotline_model.hpp"

#include <algorithm>
#include <future>
#include <random>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr Seconds a_while = 20s; // for many bytes on a busy machine

// Says it all while it listens, and says no more; it is to hear the same.
void expect_back(Caller& caller, const std::string& bytes, Seconds before_listening = 0s) {
    auto saying = std::async(std::launch::async, [&] {
        caller.send(bytes, a_while);
        caller.half_close();
    });
    std::this_thread::sleep_for(before_listening);
    caller.expect(bytes, a_while);
    saying.get();
    caller.expect_end();
}

} // namespace

TEST_CASE("E1: each of the 256 byte values") {
    Server server = start(Service::echo);
    Caller caller = server.call("A");
    std::string all;
    for (int value = 0; value < 256; ++value)
        all += static_cast<char>(value);
    caller.send(all);
    caller.expect(all);
    expect_back(caller, std::string(1, '\0'));
    expect_well(server, Service::echo);
}

TEST_CASE("E2: one byte at a time, each at once, newline or not") {
    Server server = start(Service::echo);
    Caller caller = server.call("A");
    for (const char byte : noise(500, 2)) {
        caller.send({&byte, 1});
        caller.expect({&byte, 1});
    }
    // And 2,000 of them that do not wait for each other.
    const std::string many = noise(2000, 3);
    for (const char& byte : many)
        caller.send({&byte, 1});
    caller.expect(many);
    caller.close();
    expect_well(server, Service::echo);
}

TEST_CASE("E3: 10,000 lines at once") {
    Server server = start(Service::echo);
    Caller caller = server.call("A");
    std::string lines;
    for (int i = 0; i < 10'000; ++i)
        lines += "line " + std::to_string(i) + "\r\n";
    expect_back(caller, lines);
    expect_well(server, Service::echo);
}

TEST_CASE("E4: 16 MiB in both directions at once") {
    Server server = start(Service::echo);
    Caller caller = server.call("A");
    expect_back(caller, noise(16 * mebibyte, 4));
    expect_well(server, Service::echo);
}

TEST_CASE("E5: 16 MiB for a caller who begins to listen a second late") {
    Server server = start(Service::echo);
    Caller caller = server.call("A", {.receive_buffer = 65'536});
    expect_back(caller, noise(16 * mebibyte, 5), 1s);
    expect_well(server, Service::echo);
}

TEST_CASE("E6: pieces of every size, said and heard") {
    Server server = start(Service::echo);
    Caller caller = server.call("A", {.receive_buffer = 4096});
    std::mt19937 random(6);
    for (int round = 0; round < 300; ++round) {
        const std::string piece = noise(1 + random() % (1U << random() % 17), random());
        caller.send(piece);
        caller.expect(piece.substr(0, piece.size() / 3));
        caller.expect(piece.substr(piece.size() / 3));
    }
    caller.close();
    expect_well(server, Service::echo);
}

TEST_CASE("E7: who says no more gets all that is owed, and then the end, not a reset") {
    Server server = start(Service::echo);
    Caller quiet = server.call("quiet");
    quiet.half_close();
    quiet.expect_end();
    quiet.close();

    Caller short_one = server.call("short");
    short_one.send("no newline at the end");
    short_one.half_close();
    short_one.expect("no newline at the end");
    short_one.expect_end();
    short_one.close();

    // As much as the kernel and the server take for one who does not listen.
    Caller full = server.call("full", {.receive_buffer = 4096});
    const std::string much = noise(20 * mebibyte, 7);
    std::size_t said = 0;
    const Deadline filling = scaled(5s);
    for (auto last = Clock::now(); Clock::now() < last + 200ms && !filling.passed();) {
        const std::size_t more = full.send_some(std::string_view(much).substr(said));
        if (more > 0) last = Clock::now();
        said += more;
    }
    full.half_close();
    full.expect(std::string_view(much).substr(0, said), a_while);
    full.expect_end();
    full.close();
    expect_well(server, Service::echo);
}

TEST_CASE("E8: eight callers, and each hears what they said themselves") {
    Server server = start(Service::echo);
    std::vector<std::future<void>> talks;
    for (unsigned i = 0; i < 8; ++i)
        talks.push_back(std::async(std::launch::async, [&server, i] {
            Caller caller = server.call(std::to_string(i), {.within = a_while});
            caller.send(noise(1000, 100 + i), a_while);
            caller.expect(noise(1000, 100 + i), a_while); // on the line
            for (unsigned k = 0; k < 50; ++k) {
                const std::string piece = noise(5 * kibibyte, i * 1000 + k);
                caller.send(piece, a_while);
                caller.expect(piece, a_while);
            }
        }));
    for (auto& talk : talks)
        talk.get();
    expect_well(server, Service::echo);
}

TEST_CASE("E9: the hotline takes every byte of a `sink`, in pieces of every size") {
    Server server = start(Service::hotline);
    Caller caller = served(server, Service::hotline, "A");
    std::mt19937 random(9);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, 70 * kibibyte, 4 * mebibyte}) {
        const std::string bytes = noise(size, random());
        const std::string request = "sink " + std::to_string(size) + '\n' + bytes + "0\n";
        for (std::size_t at = 0, step = 0; at < request.size(); at += step) {
            step = 1 + random() % (1U << random() % 20);
            caller.send(std::string_view(request).substr(at, step), a_while);
        }
        caller.expect("sunk " + std::to_string(size) + ' ' + checksum(bytes) + "\n0000\n", a_while);
    }
    caller.close();
    expect_well(server, Service::hotline);
}

TEST_CASE("E10: a short answer does not wait for company") {
    // Two small writes with Nagle's algorithm and a delayed acknowledgement between them cost 40 ms,
    // a time that the kernel sets: each answer takes as long, once the first few are over. Of those
    // that do not wait, some are quicker on any machine.
    for (const Service service : both_services) {
        Server server = start(service);
        Caller caller = served(server, service, "A");
        std::vector<Seconds> times;
        for (int i = 0; i < 100; ++i) {
            caller.send("echo hi\n");
            caller.expect(service == Service::echo ? "echo hi\n" : "hi\n");
            times.push_back(caller.waited());
        }
        CHECK(*std::min_element(times.begin() + 50, times.end()) < 35ms);
    }
}
