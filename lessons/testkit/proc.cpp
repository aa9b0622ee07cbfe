#include "proc.hpp"

#include "owned_fd.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

namespace {

std::string place(pid_t pid, const char* file) {
    return "/proc/" + std::to_string(pid) + '/' + file;
}

// The names in a folder that are numbers: of processes, threads, descriptors. Whatever we look at
// may end while we look, so an error is an empty answer.
std::vector<int> numbers_in(const std::string& folder) {
    std::vector<int> numbers;
    std::error_code error;
    auto entry = std::filesystem::directory_iterator(folder, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename();
        int number = 0;
        const char* const end = name.data() + name.size();
        if (std::from_chars(name.data(), end, number).ptr == end) numbers.push_back(number);
    }
    return numbers;
}

// "1234 (a (strange) name) S 1 ...": the fields after the name.
bool parse_stat(const std::string& stat, Process& process) {
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) return false;
    double user = 0; // in ticks, like those that follow
    double kernel = 0;
    double childrens_user = 0;
    double childrens_kernel = 0;
    const int found =
        std::sscanf(stat.c_str() + name_end + 1,
                    " %c %d %*s %d %*s %*s %*s %*s %*s %*s %*s %lf %lf %lf %lf %*s %*s %d",
                    &process.state, &process.parent, &process.session, &user, &kernel,
                    &childrens_user, &childrens_kernel, &process.threads);
    process.cpu = (user + kernel + childrens_user + childrens_kernel) /
                  static_cast<double>(sysconf(_SC_CLK_TCK));
    return found == 8;
}

std::optional<Process> look_at(pid_t pid) {
    Process process;
    process.pid = pid;
    if (!parse_stat(file_text(place(pid, "stat")), process)) return {};
    return process;
}

struct CallName {
    long number;
    const char* name;
    bool takes_fd;
};

// The numbers differ between processors, and newer ones leave out the oldest calls.
constexpr std::array call_names = {
#ifdef SYS_poll
    CallName{SYS_poll, "poll", false},
    CallName{SYS_select, "select", false},
    CallName{SYS_epoll_wait, "epoll_wait", false},
    CallName{SYS_pause, "pause", false},
#endif
    CallName{SYS_accept, "accept", true},
    CallName{SYS_accept4, "accept", true},
    CallName{SYS_clock_nanosleep, "clock_nanosleep", false},
    CallName{SYS_connect, "connect", true},
    CallName{SYS_epoll_pwait, "epoll_wait", false},
    CallName{SYS_futex, "futex", false},
    CallName{SYS_nanosleep, "nanosleep", false},
    CallName{SYS_ppoll, "poll", false},
    CallName{SYS_pselect6, "select", false},
    CallName{SYS_read, "read", true},
    CallName{SYS_readv, "readv", true},
    CallName{SYS_recvfrom, "recv", true},
    CallName{SYS_recvmsg, "recvmsg", true},
    CallName{SYS_rt_sigsuspend, "sigsuspend", false},
    CallName{SYS_rt_sigtimedwait, "sigwait", false},
    CallName{SYS_sendmsg, "sendmsg", true},
    CallName{SYS_sendto, "send", true},
    CallName{SYS_wait4, "waitpid", false},
    CallName{SYS_waitid, "waitid", false},
    CallName{SYS_write, "write", true},
    CallName{SYS_writev, "writev", true},
};

// /proc/PID/task/TID/syscall: "0 0x4 ..." for read(4, ...), "running", or -1 outside of a call.
void parse_call(const std::string& text, Thread& thread) {
    if (text.empty()) {
        thread.call = "?";
        return;
    }
    std::istringstream words(text);
    long number = -1;
    std::string first;
    if (!(words >> number >> first) || number < 0) return;
    const auto* const known =
        std::find_if(call_names.begin(), call_names.end(),
                     [&](const CallName& name) { return name.number == number; });
    if (known == call_names.end()) {
        thread.call = "system call " + std::to_string(number);
        return;
    }
    thread.call = known->name;
    if (known->takes_fd) thread.fd = static_cast<int>(std::stoul(first, nullptr, 16));
}

} // namespace

std::string state_name(int tcp_state) {
    static constexpr std::array names = {"?",          "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
                                         "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
                                         "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING"};
    const auto index = static_cast<std::size_t>(tcp_state);
    return index < names.size() ? names.at(index) : "?";
}

// Not with a stream: that throws when a process ends between the opening and the reading.
std::string file_text(const std::string& path) {
    const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    std::array<char, 16'384> piece;
    ssize_t count = 0;
    while (file.is_open() && (count = ::read(file.get(), piece.data(), piece.size())) > 0)
        text.append(piece.data(), static_cast<std::size_t>(count));
    return text;
}

std::vector<Process> all_processes() {
    std::vector<Process> processes;
    for (const pid_t pid : numbers_in("/proc"))
        if (const auto process = look_at(pid)) processes.push_back(*process);
    return processes;
}

// By a file that the kernel keeps for each thread: to look through all processes of the machine costs
// fifty times as much, so that is for a kernel that was built without the file.
std::vector<pid_t> children_of(pid_t pid) {
    static const bool has_lists = ::access("/proc/thread-self/children", R_OK) == 0;
    std::vector<pid_t> children;
    if (!has_lists) {
        for (const Process& process : all_processes())
            if (process.parent == pid) children.push_back(process.pid);
        return children;
    }
    for (const pid_t tid : numbers_in(place(pid, "task"))) {
        std::istringstream list(file_text(place(pid, "task/") + std::to_string(tid) + "/children"));
        for (pid_t child = 0; list >> child;)
            children.push_back(child);
    }
    return children;
}

bool is_dead(pid_t pid) {
    const auto process = look_at(pid);
    return !process || process->state == 'Z' || process->state == 'X';
}

// A process that forks or loses its parent meanwhile may be missed, so whoever must have all of them
// asks again.
std::vector<Process> tree_of(pid_t root) {
    std::vector<Process> tree;
    std::vector<pid_t> family = {root};
    for (std::size_t i = 0; i < family.size(); ++i) {
        const auto process = look_at(family[i]);
        if (!process) continue;
        tree.push_back(*process);
        for (const pid_t child : children_of(family[i]))
            family.push_back(child);
    }
    return tree;
}

std::vector<Thread> threads_of(pid_t pid) {
    std::vector<Thread> threads;
    for (const pid_t tid : numbers_in(place(pid, "task"))) {
        const std::string folder = place(pid, "task/") + std::to_string(tid);
        Process as_process;
        if (!parse_stat(file_text(folder + "/stat"), as_process)) continue;
        Thread thread{pid, tid, as_process.state, 0, "", -1};
        double ran = 0; // nanoseconds
        double waited = 0;
        if (std::istringstream(file_text(folder + "/schedstat")) >> ran >> waited)
            thread.eager = (ran + waited) / 1e9;
        if (thread.state != 'Z') parse_call(file_text(folder + "/syscall"), thread);
        threads.push_back(thread);
    }
    return threads;
}

// With sscanf: a stream takes ten times as long, and there may be thousands of rows.
std::vector<TcpRow> tcp_rows_in(const std::string& table) {
    std::vector<TcpRow> rows;
    std::set<std::string> seen;
    std::istringstream file(table);
    std::string line;
    std::getline(file, line); // the headings
    while (std::getline(file, line)) {
        TcpRow row;
        unsigned local = 0;
        unsigned remote = 0;
        unsigned state = 0;
        int begin = 0;
        int end = 0;
        // Number, address:port, address:port, state, tx_queue:rx_queue, four more, inode.
        if (std::sscanf(line.c_str(), "%*d: %n%*[^:]:%x %*[^:]:%x%n %x %lx:%lx %*s %*s %*s %*s %lu",
                        &begin, &local, &remote, &end, &state, &row.unsent, &row.unread,
                        &row.inode) != 6)
            continue;
        const std::string both_ends(line, static_cast<std::size_t>(begin),
                                    static_cast<std::size_t>(end - begin));
        row.local_port = static_cast<int>(local);
        row.remote_port = static_cast<int>(remote);
        row.state = static_cast<int>(state);
        if (row.state == tcp_listen || seen.insert(both_ends).second) rows.push_back(row);
    }
    return rows;
}

std::vector<TcpRow> tcp_rows() {
    std::vector<TcpRow> rows = tcp_rows_in(file_text("/proc/net/tcp"));
    std::ranges::copy(tcp_rows_in(file_text("/proc/net/tcp6")), std::back_inserter(rows));
    return rows;
}

std::vector<Socket> sockets_of(pid_t pid) {
    std::vector<Socket> sockets;
    for (const int fd : numbers_in(place(pid, "fd"))) {
        std::error_code error;
        const std::string path = place(pid, "fd/") + std::to_string(fd);
        const std::string target = std::filesystem::read_symlink(path, error);
        const std::string mark = "socket:[";
        if (target.starts_with(mark))
            sockets.push_back({pid, fd, std::stoul(target.substr(mark.size()))});
    }
    return sockets;
}

int descriptors_of(pid_t pid) {
    return static_cast<int>(numbers_in(place(pid, "fd")).size());
}

int lowest_free_descriptor(pid_t pid) {
    std::vector<int> taken = numbers_in(place(pid, "fd"));
    std::sort(taken.begin(), taken.end());
    int number = 0;
    for (const int fd : taken)
        number += fd == number;
    return number;
}

// smaps_rollup walks all page tables: exact, and dearer than the counters in statm.
Memory memory_of(pid_t pid) {
    Memory memory;
    std::istringstream lines(file_text(place(pid, "smaps_rollup")));
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string name;
        std::size_t kilobytes = 0;
        words >> name >> kilobytes;
        if (name == "Rss:") memory.resident = kilobytes * 1024;
        if (name == "Pss:") memory.shared_out = kilobytes * 1024;
    }
    return memory;
}
