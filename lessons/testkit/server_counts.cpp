// What a server uses, and whether it gives it back.
#include "server.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <limits>
#include <thread>

Counts Server::counts() {
    Counts counts;
    if (!alive()) return counts;
    for (const Process& process : tree_of(pid_)) {
        if (process.pid == pid_)
            counts.threads = process.threads;
        else if (process.state == 'Z')
            ++counts.zombies;
        else
            ++counts.children;
    }
    // Afterwards: a child whose parent ends meanwhile is counted twice, and not missed.
    counts.children += static_cast<int>(strays().size()); // and reaps those that are dead
    counts.descriptors = descriptors_of(pid_);
    return counts;
}

Memory Server::memory() const {
    Memory sum;
    for (const Process& process : tree_of(pid_)) {
        const Memory memory = memory_of(process.pid);
        sum.resident += memory.resident;
        sum.shared_out += memory.shared_out;
    }
    return sum;
}

unsigned long Server::accept_queue() const {
    for (const TcpRow& row : tcp_rows())
        if (row.state == tcp_listen && row.local_port == port_) return row.unread;
    return 0;
}

Seconds Server::cpu_time() const {
    Seconds sum(0);
    for (const Process& process : tree_of(pid_))
        sum += Seconds(process.cpu);
    return sum;
}

Seconds Server::eager_time() const {
    Seconds sum(0);
    for (const Process& process : tree_of(pid_))
        for (const Thread& thread : threads_of(process.pid))
            sum += Seconds(thread.eager);
    return sum;
}

namespace {

struct Count {
    const char* name;
    int before;
    int now;
    Outcome leak;
};

// The worst first: who leaves zombies leaks other things, too.
std::array<Count, 4> compared(const Counts& before, const Counts& now) {
    return {{
        {"zombies", before.zombies, now.zombies, Outcome::leak_zombies},
        {"children", before.children, now.children, Outcome::leak_children},
        {"threads", before.threads, now.threads, Outcome::leak_threads},
        {"fds", before.descriptors, now.descriptors, Outcome::leak_fds},
    }};
}

std::string table(const std::array<Count, 4>& counts) {
    std::string text = "                 before   after\n";
    for (const Count& count : counts) {
        std::array<char, 64> line{};
        std::snprintf(line.data(), line.size(), "      %-8s %8d %7d\n", count.name, count.before,
                      count.now);
        text += line.data();
    }
    return text;
}

} // namespace

// As long as something goes away, it is on its way: after many callers, a child at a time.
void Server::settle(const Counts& before, Seconds within) {
    Deadline deadline = scaled(within);
    int fewest = std::numeric_limits<int>::max();
    while (alive()) {
        const auto all = compared(before, counts());
        int sum = 0;
        for (const Count& count : all)
            sum += count.now;
        if (sum < fewest) deadline.renew();
        fewest = std::min(fewest, sum);
        const auto* const worst = std::find_if(
            all.begin(), all.end(), [](const Count& count) { return count.now > count.before; });
        if (worst == all.end()) {
            story_.tell("server", "has settled");
            return;
        }
        if (deadline.passed())
            fail(worst->leak,
                 "the server has " + std::to_string(worst->now) + ' ' + worst->name +
                     " where it had " + std::to_string(worst->before) + ", " + spelled(within) +
                     " after its callers left",
                 table(all));
        std::this_thread::sleep_for(std::chrono::milliseconds(10)); // between two looks at /proc
    }
    fail(Outcome::exited, "the server was to settle");
}
