// The contract, part R: what must not pile up.
#include "contract.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <sstream>
#include <thread>

using namespace std::chrono_literals;

namespace {

using Visit = std::function<void(Server&, Service)>;

// How a caller may come and go.
const std::vector<Visit> visits = {
    [](Server& server, Service) { server.call("leaves at once").close(); },
    [](Server& server, Service) { server.call("resets at once").reset(); },
    [](Server& server, Service service) { served(server, service, "is served").close(); },
    [](Server& server, Service service) { served(server, service, "resets").reset(); },
    [](Server& server, Service service) {
        Caller caller = served(server, service, "says no more");
        caller.half_close();
        caller.expect_end();
    },
    [](Server& server, Service service) {
        Caller caller = served(server, service, "vanishes");
        caller.send_some(repeated(2000, "echo are you there?\n"));
        caller.vanish();
    },
    [](Server& server, Service service) {
        Caller caller = served(server, service, "never reads", {.receive_buffer = 65'536});
        caller.send_some(repeated(10, "big 10000000\n"));
        caller.close();
    },
    [](Server& server, Service service) {
        Caller caller = served(server, service, "stops in a word");
        caller.send("sink 100000\nabc");
        caller.close();
    },
};

// One caller after another until it is enough: `most` of them, or fewer where each takes long, and
// never less than it takes to show a leak. How many came.
int call_for(const Deadline& enough, int least, int most, const auto& visit) {
    int callers = 0;
    while (callers < least || (callers < most && !enough.passed()))
        visit(callers++);
    return callers;
}

// Sockets whose caller has left and which the server has not closed.
long left_open(int port) {
    const std::vector<TcpRow> rows = tcp_rows();
    return std::count_if(rows.begin(), rows.end(), [port](const TcpRow& row) {
        return row.local_port == port && row.state == tcp_close_wait;
    });
}

// How often the server has given up the processor of its own will.
long naps(Server& server) {
    long sum = 0;
    for (const Process& process : tree_of(server.pid()))
        for (const Thread& thread : threads_of(process.pid)) {
            std::istringstream status(file_text("/proc/" + std::to_string(process.pid) + "/task/" +
                                                std::to_string(thread.tid) + "/status"));
            for (std::string name; status >> name;) {
                long count = 0;
                if (name == "voluntary_ctxt_switches:" && status >> count) sum += count;
            }
        }
    return sum;
}

} // namespace

TEST_CASE("R1: after callers of every kind, up to 480, and no new one, all is as it was") {
    for (const Service service : both_services) {
        Server server = start(service);
        const Counts before = at_rest(server, service);
        const Deadline enough(4s);
        const int callers = call_for(enough, 80, 480, [&](int i) {
            visits[static_cast<std::size_t>(i) % visits.size()](server, service);
        });
        MESSAGE(name_of(service) << ": " << callers << " callers");
        server.settle(before, 3s);
        CHECK(left_open(server.port()) == 0);
        expect_well(server, service);
    }
}

TEST_CASE("R2: many callers, one after another, leave its memory where it was") {
    if (subject().sanitized) return; // a sanitizer keeps what was freed, to catch who uses it
    const int many = subject().soak ? 18'000 : 1'800;
    for (const Service service : both_services) {
        Server server = start(service);
        const auto visit = [&](int i) {
            // A port of our own end stays taken for a while: many addresses have many ports.
            const std::string from = "127.0.0." + std::to_string(2 + i % 16);
            Caller caller = served(server, service, "one of many", {.from = from});
            caller.send("big 10000\n");
            caller.read_exactly(service == Service::hotline ? 10'014 : 10);
        };
        const Deadline warm(subject().soak ? Seconds(60) : Seconds(1));
        call_for(warm, 30, many / 9, visit);
        const Counts counts = at_rest(server, service);
        const std::size_t before = server.memory().resident;
        const Deadline enough(subject().soak ? Seconds(600) : Seconds(5));
        const int callers = call_for(enough, 200, many, visit);
        MESSAGE(name_of(service) << ": " << callers << " callers");
        server.settle(counts, 3s);
        const std::size_t after = server.memory().resident;
        CAPTURE(before);
        CHECK(after < before + 2 * mebibyte);
        expect_well(server, service);
    }
}

TEST_CASE("R3: with ten callers who say nothing it does nothing") {
    for (const Service service : both_services) {
        Server server = start(service);
        std::vector<Caller> callers;
        for (int i = 0; i < 10; ++i)
            callers.push_back(server.call(std::to_string(i)));
        let_it_rest(server); // those whom it serves are greeted
        const long before = naps(server);
        const auto begin = Clock::now();
        CHECK(share_of_processor(server, 700ms) < 0.05);
        const Seconds time = Clock::now() - begin;
        if (!sanitized()) // ThreadSanitizer has a thread of its own that looks around
            CHECK(static_cast<double>(naps(server) - before) < 60 * time.count());
    }
}

TEST_CASE("R4: a caller who says no more and does not read is waited for, not asked for ever") {
    for (const Service service : both_services) {
        Server server = start(service);
        Caller caller = served(server, service, "A", {.receive_buffer = 4096});
        if (service == Service::hotline) caller.send("big 500000000\n");
        const std::string bytes = noise(mebibyte, 4);
        for (int i = 0; service == Service::echo && i < 50; ++i)
            if (caller.send_some(bytes) == 0) break;
        caller.half_close();
        caller.stop_reading();
        let_it_rest(server); // when every buffer is full
        CHECK(share_of_processor(server, 700ms) < 0.25);
        caller.reset();
        expect_well(server, service);
    }
}
