// The contract, part C: many callers, and those with bad habits.
#include "contract.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t much = 12 * mebibyte; // what a bad neighbour may cost the server

// A caller with a bad habit; it goes on until it is told that it is over.
struct Habit {
    std::string name;
    Service service;
    std::function<void(Caller&, const std::atomic<bool>& over)> indulge;
};

void send_while(Caller& caller, std::string_view bytes, const std::atomic<bool>& over) {
    while (!over)
        if (caller.send_some(bytes) == 0) std::this_thread::sleep_for(5ms);
}

void never_read(Caller& caller, const std::atomic<bool>& over) {
    caller.stop_reading();
    send_while(caller, noise(mebibyte, 1), over);
}

void ask_and_never_read(Caller& caller, const std::atomic<bool>& over) {
    caller.stop_reading();
    send_while(caller, repeated(1000, "echo " + std::string(1000, 'x') + "\nbig 100000\n"), over);
}

void drip(Caller& caller, const std::atomic<bool>& over) {
    while (!over) {
        caller.send("x");
        std::this_thread::sleep_for(20ms);
    }
}

// As many questions as it can, and it takes every answer.
void flood(Caller& caller, const std::atomic<bool>& over) {
    const std::string questions = repeated(1000, "0\n");
    auto asking = std::async(std::launch::async, [&] { send_while(caller, questions, over); });
    while (!over)
        if (caller.has_news()) caller.read_exactly(1);
    asking.get();
}

const std::vector<Habit> habits = {
    {"sends without end and reads nothing", Service::echo, never_read},
    {"asks without end and reads nothing", Service::hotline, ask_and_never_read},
    {"drips bytes", Service::hotline, drip},
    {"drips bytes", Service::echo, drip},
    {"floods with questions", Service::hotline, flood},
};

// A hundred answers in the time that one may take. A server that waits for the bad one each time,
// for however short a while, does not get there.
void expect_answers(Server& server, Service service) {
    Caller neighbour = served(server, service, "the neighbour");
    const Deadline deadline = scaled(usual);
    const Deadline at_least(700ms); // the habit takes its time to fill buffers
    for (int answers = 0; answers < 100 || !at_least.passed(); ++answers) {
        neighbour.send("echo hi\n");
        neighbour.expect(service == Service::hotline ? "hi\n" : "echo hi\n");
        CAPTURE(answers);
        REQUIRE_FALSE(deadline.passed());
    }
}

void expect_little_harm(const Habit& habit) {
    INFO("A caller who ", habit.name, ", ", name_of(habit.service));
    Server server = start(habit.service);
    served(server, habit.service, "the first").close();
    const std::size_t before = peak_memory(server);
    Caller bad = served(server, habit.service, "the bad neighbour", {.receive_buffer = 65'536});
    std::atomic<bool> over = false;
    auto misbehaving = std::async(std::launch::async, [&] { habit.indulge(bad, over); });
    try {
        if (subject().column.serves_at_once())
            expect_answers(server, habit.service);
        else
            std::this_thread::sleep_for(400ms); // the habit takes its time to fill buffers
    } catch (...) {
        over = true; // or we wait for it for ever
        throw;
    }
    over = true;
    misbehaving.get();
    if (!subject().sanitized) CHECK(peak_memory(server) < before + much);
    bad.reset();
    expect_well(server, habit.service);
}

} // namespace

TEST_CASE("C1: a second caller while the first stays: served, or waits until it leaves") {
    for (const Service service : both_services) {
        Server server = start(service);
        Caller first = served(server, service, "the first");
        if (subject().column.serves_at_once()) {
            const Caller second = served(server, service, "the second");
            continue;
        }
        Caller second = server.call("the second");
        second.send("echo hi\n");
        second.expect_silence(300ms);
        first.send("0\n"); // all the time the first is served
        first.expect(service == Service::hotline ? "0000\n" : "0\n");
        first.close();
        if (service == Service::hotline) second.expect_line_like("Welcome*");
        second.expect(service == Service::hotline ? "hi\n" : "echo hi\n");
    }
}

TEST_CASE("C2: as many callers as the model bears stay on the line, and all are served") {
    Server server = start(Service::hotline);
    std::vector<Caller> callers;
    for (int i = 0; i < subject().column.held; ++i)
        callers.push_back(served(server, Service::hotline, std::to_string(i)));
    for (Caller& caller : callers)
        caller.send("echo " + caller.name() + '\n');
    for (Caller& caller : callers)
        caller.expect(caller.name() + '\n');
    callers.clear();
    expect_well(server, Service::hotline);
}

TEST_CASE("C3: --max-clients: who is too many is neither served nor lost") {
    for (const Service service : both_services) {
        const int limit = std::min(2, subject().column.held);
        Server server = start(service, {"--max-clients", "2"});
        std::vector<Caller> callers;
        for (int i = 0; i < limit; ++i)
            callers.push_back(served(server, service, std::to_string(i)));
        Caller one_more = server.call("one more");
        one_more.send("echo hi\n");
        one_more.expect_silence(300ms);
        callers.back().close();
        if (service == Service::hotline) one_more.expect_line_like("Welcome*");
        one_more.expect(service == Service::hotline ? "hi\n" : "echo hi\n");
        one_more.close();
        callers.clear();
        expect_well(server, service);
    }
}

TEST_CASE(
    "C4: a caller with a bad habit costs the others little time, and the server little room") {
    for (const Habit& habit : habits)
        expect_little_harm(habit);
}

TEST_CASE("C5: 48 MiB without a newline: the hotline refuses, echo gives them back") {
    for (const Service service : both_services) {
        Server server = start(service);
        served(server, service, "the first").close();
        const std::size_t before = peak_memory(server);
        const std::string bytes(48 * mebibyte, 'x');
        Caller caller = served(server, service, "A");
        auto saying = std::async(std::launch::async, [&] {
            try {
                caller.send(bytes, 20s);
                caller.half_close();
            } catch (const Unexpected&) { // the hotline need not hear it all
                if (service == Service::echo) throw;
            }
        });
        if (service == Service::echo) {
            caller.expect(bytes, 20s);
            caller.expect_end();
        } else {
            caller.expect("Line too long\n");
            caller.expect_gone();
        }
        saying.get();
        if (!subject().sanitized) CHECK(peak_memory(server) < before + much);
        expect_well(server, service);
    }
}
