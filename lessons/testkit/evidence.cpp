#include "evidence.hpp"

#include "story.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <thread>

namespace {

constexpr double busy = 0.7;

bool is_one_of(const std::string& call, std::initializer_list<const char*> calls) {
    return std::find(calls.begin(), calls.end(), call) != calls.end();
}
bool reads(const Thread& thread) {
    return is_one_of(thread.call, {"read", "readv", "recv", "recvmsg"});
}
bool writes(const Thread& thread) {
    return is_one_of(thread.call, {"write", "writev", "send", "sendmsg"});
}
bool polls(const Thread& thread) {
    return is_one_of(thread.call, {"poll", "select", "epoll_wait"});
}
bool sleeps(const Thread& thread) {
    return is_one_of(thread.call, {"clock_nanosleep", "nanosleep"});
}
// Mutexes and condition variables sleep in the same call: seen from outside they are one.
bool locks(const Thread& thread) {
    return thread.call == "futex";
}
bool accepts(const Thread& thread) {
    return thread.call == "accept";
}
bool spins(const Evidence& evidence) {
    return evidence.cpu > busy || evidence.spinning;
}

const Thread* find(const Evidence& evidence, const std::function<bool(const Thread&)>& wanted) {
    const auto found = std::find_if(evidence.threads.begin(), evidence.threads.end(), wanted);
    return found != evidence.threads.end() ? &*found : nullptr;
}

const Connection* asking_connection(const Evidence& evidence) {
    const auto found = std::find_if(
        evidence.connections.begin(), evidence.connections.end(),
        [&](const Connection& connection) { return connection.caller == evidence.asking; });
    return found != evidence.connections.end() ? &*found : nullptr;
}

std::string unread_by(const Connection& connection) {
    return counted(connection.unread, "unread byte");
}

// "The server has 1 thread, and it is inside read(fd 4) = caller A"
std::string where_it_is(const Evidence& evidence) {
    const auto& threads = evidence.threads;
    if (threads.empty()) return "The server has no thread left";
    if (threads.size() == 1)
        return "The server has 1 thread, and it is inside " + spelled_call(threads[0], evidence);
    std::string text = "The server has " + counted(threads.size(), "thread") + ", inside ";
    constexpr std::size_t shown = 4;
    for (std::size_t i = 0; i < std::min(shown, threads.size()); ++i)
        text += (i > 0 ? ", " : "") + spelled_call(threads[i], evidence);
    return threads.size() > shown ? text + " and others" : text;
}

// The kernel has made the connection by itself: connect() succeeds and bytes arrive though no
// process has called accept(). Such a socket has no inode yet, for no process has it.
std::string explain_not_accepted(const Evidence& evidence, const Connection& mine) {
    const std::string start =
        mine.caller +
        " is connected only in the kernel: " + counted(evidence.waiting, "connection") +
        (evidence.waiting == 1 ? " waits" : " wait") + " in the accept queue, with " +
        unread_by(mine) + ". ";
    if (find(evidence, accepts) != nullptr) return ""; // it is on its way
    if (const Thread* const sleeper = find(evidence, polls))
        return start + "The server sleeps in " + sleeper->call +
               ", and its loop does not watch the listening socket.";
    return start + where_it_is(evidence) + ": it is not calling accept().";
}

// The server has accepted the caller, and bytes lie unread in the kernel.
std::string explain_unread(const Evidence& evidence, const Connection& mine) {
    const std::string fd = "fd " + std::to_string(mine.fd);
    const std::string start = unread_by(mine) + " of " + mine.caller + " wait in the kernel. ";
    const auto reads_mine = [&](const Thread& thread) {
        return reads(thread) && thread.pid == mine.pid && thread.fd == mine.fd;
    };
    if (find(evidence, reads_mine) != nullptr) return "";
    if (const Thread* const sleeper = find(evidence, polls))
        return start + "The server sleeps in " + sleeper->call + ", and its loop does not watch " +
               fd + " for reading (or has missed an edge).";
    if (std::all_of(evidence.threads.begin(), evidence.threads.end(), locks))
        return start +
               "Every thread waits for a lock or an empty queue (futex), and nobody reads " + fd +
               '.';
    return start + where_it_is(evidence) + ": nobody reads " + fd + '.';
}

// The server has accepted the caller and read all that they sent: what is it waiting for?
std::string explain_all_read(const Evidence& evidence, const Connection& mine) {
    const std::string start = "The server has read all that " + mine.caller + " sent, ";
    const auto on_mine = [&](const Thread& thread) {
        return thread.pid == mine.pid && thread.fd == mine.fd;
    };
    if (mine.state == tcp_established &&
        find(evidence, [&](const Thread& thread) { return reads(thread) && on_mine(thread); }))
        return start + "and waits for more in read(fd " + std::to_string(mine.fd) +
               "): did a whole line already arrive?";
    if (find(evidence, [&](const Thread& thread) { return writes(thread) && on_mine(thread); }))
        return "The server is writing to " + mine.caller +
               (evidence.asking_reads ? "." : ", who does not read: flow control holds it.");
    if (const Thread* const writer = find(evidence, writes))
        return start + "and is inside " + spelled_call(*writer, evidence) +
               ", where it waits until that caller reads.";
    if (find(evidence, sleeps) != nullptr) return start + "and sleeps (clock_nanosleep).";
    const auto free = [](const Thread& thread) { return !locks(thread) && !accepts(thread); };
    if (find(evidence, locks) != nullptr && find(evidence, free) == nullptr)
        return start + "then waits for a lock (futex), and no other thread runs.";
    return "";
}

// The caller's FIN has come, and ours has not gone: only close() or shutdown() ends this state, and
// no timeout does.
std::string explain_close_wait(const Evidence& evidence) {
    std::string fds;
    std::size_t count = 0;
    for (const Connection& connection : evidence.connections) {
        if (connection.state != tcp_close_wait || !connection.accepted) continue;
        if (++count > 5) continue;
        fds += (count > 1 ? ", " : "") + std::to_string(connection.fd);
        if (connection.pid != evidence.server) fds += " of child " + std::to_string(connection.pid);
    }
    if (count == 0) return "";
    return "fd " + fds + (count > 5 ? " and more" : "") + (count == 1 ? " is" : " are") +
           " in CLOSE_WAIT: the caller says no more, and the server has not called close().";
}

} // namespace

std::string spelled_call(const Thread& thread, const Evidence& evidence) {
    if (thread.call == "?") return "a call that the system does not show";
    if (thread.call.empty()) return "its own code (it runs)";
    if (thread.fd < 0) return thread.call;
    std::string text = thread.call + "(fd " + std::to_string(thread.fd) + ')';
    for (const Connection& connection : evidence.connections)
        if (connection.pid == thread.pid && connection.fd == thread.fd)
            text += " = " + connection.caller;
    return text;
}

std::vector<std::string> explain(const Evidence& evidence) {
    std::vector<std::string> sentences;
    const auto say = [&](const std::string& sentence) {
        if (!sentence.empty()) sentences.push_back(sentence);
    };
    if (!evidence.listening && evidence.processes > 0)
        say("No socket listens on the port any more.");
    if (const Connection* const mine = asking_connection(evidence)) {
        if (!mine->accepted)
            say(explain_not_accepted(evidence, *mine));
        else if (mine->unread > 0)
            say(explain_unread(evidence, *mine));
        else if (!spins(evidence))
            say(explain_all_read(evidence, *mine));
    }
    say(explain_close_wait(evidence));
    if (spins(evidence))
        say("The server is busy all the time and gets nowhere: a busy loop. Often read() returns "
            "0, "
            "or EAGAIN, and the loop goes on as before.");
    if (evidence.zombies > 0)
        say(counted(static_cast<std::size_t>(evidence.zombies), "child has", "children have") +
            " ended, and the parent has not waited for them (zombies).");
    const bool somebody_is_there = std::any_of(
        evidence.connections.begin(), evidence.connections.end(),
        [](const Connection& connection) { return connection.state == tcp_established; });
    if (evidence.processes > 1 && !somebody_is_there)
        say(counted(static_cast<std::size_t>(evidence.processes - 1), "child lives",
                    "children live") +
            " on though every caller has left: do they hold the listening socket, and do they see "
            "the end of the stream?");
    return sentences;
}

std::string table(const Evidence& evidence) {
    std::array<char, 160> line{};
    std::string text;
    const auto add = [&](auto... values) {
        std::snprintf(line.data(), line.size(), values...);
        text += line.data();
    };
    add("    %-12s %-12s %8s %8s  %s\n", "", "state", "unread", "unsent", "descriptor");
    for (const Connection& connection : evidence.connections)
        add("    %-12s %-12s %8lu %8lu  %s\n", connection.caller.c_str(),
            state_name(connection.state).c_str(), connection.unread, connection.unsent,
            connection.accepted ? ("fd " + std::to_string(connection.fd)).c_str() : "not accepted");
    for (const Thread& thread : evidence.threads)
        add("    thread %d  %c  %s\n", thread.tid, thread.state,
            spelled_call(thread, evidence).c_str());
    add("    accept queue %lu, CPU %.0f %%, processes %d, zombies %d\n", evidence.waiting,
        evidence.cpu * 100, evidence.processes, evidence.zombies);
    return text;
}

namespace {

double cpu_of(const std::vector<Process>& tree) {
    double seconds = 0;
    for (const Process& process : tree)
        seconds += process.cpu;
    return seconds;
}

struct Look {
    Clock::time_point at;
    double eager; // seconds until then
};

// How long each thread ran or wanted to: on a loaded machine a busy loop gets only its part of a
// processor, and waits for the rest.
std::map<pid_t, Look> look_at_threads(const std::vector<Process>& tree) {
    std::map<pid_t, Look> looks;
    for (const Process& process : tree)
        for (const Thread& thread : threads_of(process.pid))
            looks.insert({thread.tid, {Clock::now(), thread.eager}});
    return looks;
}

void measure_cpu(pid_t server, Evidence& evidence) {
    const auto begin = Clock::now();
    const std::vector<Process> tree_before = tree_of(server);
    const auto before = look_at_threads(tree_before);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const std::vector<Process> tree_after = tree_of(server);
    const auto after = look_at_threads(tree_after);
    // The ticks of utime and stime are coarse, 10 ms, and end with the process that had them.
    evidence.cpu =
        (cpu_of(tree_after) - cpu_of(tree_before)) / Seconds(Clock::now() - begin).count();
    for (const auto& [tid, first] : before) {
        const auto second = after.find(tid);
        if (second == after.end()) continue;
        const Seconds time = second->second.at - first.at;
        if (second->second.eager - first.eager > busy * time.count()) evidence.spinning = true;
    }
}

// Which connection is on which descriptor: a row of /proc/net/tcp and a link in /proc/PID/fd name
// the same inode. Both lists are older than the next event, so a row without a match is left out.
void add_connections(const Question& question, Evidence& evidence) {
    std::vector<Socket> sockets;
    for (const Process& process : tree_of(question.server))
        for (const Socket& socket : sockets_of(process.pid))
            sockets.push_back(socket);
    for (const TcpRow& row : tcp_rows()) {
        if (row.local_port != question.port) continue;
        if (row.state == tcp_listen) {
            evidence.listening = true;
            evidence.waiting = std::max(evidence.waiting, row.unread);
            continue;
        }
        Connection connection;
        const auto known = question.callers.find(row.remote_port);
        connection.caller = known != question.callers.end()
                                ? known->second
                                : "port " + std::to_string(row.remote_port);
        connection.state = row.state;
        connection.unread = row.unread;
        connection.unsent = row.unsent;
        connection.accepted = row.inode != 0;
        for (const Socket& socket : sockets)
            if (connection.fd < 0 && row.inode != 0 && socket.inode == row.inode) {
                connection.fd = socket.fd;
                connection.pid = socket.pid;
            }
        const bool held = connection.fd >= 0 || !connection.accepted;
        if (held && row.state <= tcp_close_wait) evidence.connections.push_back(connection);
    }
}

} // namespace

Evidence look(const Question& question) {
    Evidence evidence;
    evidence.server = question.server;
    evidence.asking = question.asking;
    evidence.asking_reads = question.asking_reads;
    measure_cpu(question.server, evidence);
    for (const Process& process : tree_of(question.server)) {
        evidence.processes += process.state != 'Z';
        evidence.zombies += process.state == 'Z';
        for (const Thread& thread : threads_of(process.pid))
            if (thread.state != 'Z') evidence.threads.push_back(thread);
    }
    add_connections(question, evidence);
    return evidence;
}
