// What /proc says about processes and sockets, as plain values. What may not be read is empty.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

struct Process {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t session = 0;
    char state = '?'; // R runs, S sleeps, Z is a zombie ... proc(5)
    int threads = 0;
    double cpu = 0; // seconds, children that were waited for included
};

// One thread and the system call it is in: "" while it runs, "?" where we may not look.
struct Thread {
    pid_t pid = 0;
    pid_t tid = 0;
    char state = '?';
    double eager = 0; // seconds that it ran, or was ready to and waited for a processor
    std::string call;
    int fd = -1; // the call's first argument, where that is a descriptor
};

// A row of /proc/net/tcp or tcp6.
struct TcpRow {
    int local_port = 0;
    int remote_port = 0;
    int state = 0;
    unsigned long unsent = 0; // tx_queue
    unsigned long unread = 0; // rx_queue; of a listening socket: connections waiting for accept
    unsigned long inode = 0;  // 0: no process has accepted it yet
};

struct Socket {
    pid_t pid = 0;
    int fd = -1;
    unsigned long inode = 0;
};

struct Memory {
    std::size_t shared_out = 0; // PSS: pages shared by n processes count 1/n in each
    std::size_t resident = 0;   // RSS
};

constexpr int tcp_established = 1;
constexpr int tcp_close_wait = 8;
constexpr int tcp_listen = 10;

std::string state_name(int tcp_state);

std::string file_text(const std::string& path);

std::vector<Process> all_processes();

// Those that have not been waited for are among them.
std::vector<pid_t> children_of(pid_t pid);

// Dead is also who has not been waited for.
bool is_dead(pid_t pid);

// The process `root` first, and all its descendants; empty when there is none.
std::vector<Process> tree_of(pid_t root);

std::vector<Thread> threads_of(pid_t pid);
std::vector<TcpRow> tcp_rows();

// The rows of such a file. The kernel writes it a page at a time, and a connection that moves in the
// list meanwhile, since others come and go, stands there twice: that is one row.
std::vector<TcpRow> tcp_rows_in(const std::string& table);

std::vector<Socket> sockets_of(pid_t pid);
int descriptors_of(pid_t pid);
int lowest_free_descriptor(pid_t pid);
Memory memory_of(pid_t pid);
