// The contract, part M: it is what it says, as seen from outside.
#include "contract.hpp"

#include <map>
#include <sstream>

using namespace std::chrono_literals;

namespace {

// Waits until some thread of the server itself is in this call. What the system does not show
// cannot be wrong.
void expect_call(Server& server, const std::string& wanted) {
    const Deadline deadline = scaled(usual);
    std::string seen;
    while (!deadline.passed()) {
        for (const Thread& thread : threads_of(server.pid())) {
            seen = thread.call;
            if (seen == wanted || seen == "?" || wanted.empty()) return;
        }
    }
    CAPTURE(seen);
    FAIL("the server was to wait in " << wanted);
}

// The first argument of select(2): one more than the highest descriptor that it asks about.
long asked_about(pid_t pid) {
    std::istringstream call(file_text("/proc/" + std::to_string(pid) + "/syscall"));
    long number = 0;
    std::string count;
    call >> number >> count;
    return call ? std::stol(count, nullptr, 16) : 0;
}

} // namespace

TEST_CASE("M1: what five callers cost it in threads and processes") {
    const Column& column = subject().column;
    for (const Service service : both_services) {
        Server server = start(service);
        const Counts alone = at_rest(server, service);
        std::vector<Caller> callers;
        for (int i = 0; i < 5; ++i)
            callers.push_back(column.serves_at_once() ? served(server, service, std::to_string(i))
                                                      : server.call(std::to_string(i)));
        const Counts now = server.counts();
        CHECK(now.threads >= (column.caller == Costs::a_thread ? 6 : 1));
        CHECK(now.children >= (column.caller == Costs::a_process ? 5 : 0));
        if (column.caller != Costs::a_thread) CHECK(now.threads == alone.threads);
        if (column.caller != Costs::a_process) CHECK(now.children == 0);
    }
}

TEST_CASE("M1: the calls in which it waits") {
    for (const Service service : both_services) {
        Server server = start(service);
        expect_call(server, std::string(subject().column.waits_in));
        const Caller caller = served(server, service, "A");
        expect_call(server, std::string(subject().column.listens_in));
    }
}

TEST_CASE("M2: a child holds its own caller, and neither the listener nor another caller") {
    if (subject().column.caller != Costs::a_process) return;
    Server server = start(Service::hotline);
    std::vector<Caller> callers;
    for (int i = 0; i < 5; ++i)
        callers.push_back(served(server, Service::hotline, std::to_string(i)));
    std::map<unsigned long, int> state_of;
    for (const TcpRow& row : tcp_rows())
        state_of[row.inode] = row.state;
    for (const Process& process : tree_of(server.pid())) {
        if (process.pid == server.pid()) continue;
        std::vector<int> held; // by the child: the states of its connections
        for (const Socket& socket : sockets_of(process.pid))
            if (state_of.contains(socket.inode)) held.push_back(state_of[socket.inode]);
        CHECK(held == std::vector<int>{tcp_established});
    }
}

TEST_CASE("M3: select is never asked about more than 1,024 descriptors") {
    if (subject().column.waits_in != "select") return;
    Server server = start(Service::hotline, {}, {.limits = {{RLIMIT_NOFILE, 4000}}});
    std::vector<Caller> callers;
    for (int i = 0; i < 1100; ++i)
        callers.push_back(server.call(std::to_string(i)));
    const Deadline watching(1s);
    while (!watching.passed())
        CHECK(asked_about(server.pid()) <= 1024);
    for (const std::size_t i : {0U, 500U, 900U}) {
        callers[i].send("0\n");
        callers[i].expect_line_like("Welcome to 10086, *");
        callers[i].expect("0000\n");
    }
    callers.clear();
    expect_well(server, Service::hotline);
}
