// Why does the server not answer? What /proc shows from outside, and the sentences it supports.
#pragma once

#include "proc.hpp"
#include "timeout_scale.hpp"

#include <map>
#include <string>
#include <vector>

// The server's end of one caller's connection.
struct Connection {
    std::string caller; // "caller B", or "port 40312" for one we do not know
    int state = 0;      // as in /proc/net/tcp
    unsigned long unread = 0;
    unsigned long unsent = 0;
    bool accepted = false;
    int fd = -1;
    pid_t pid = 0; // who holds it: the server, if it does, else a child
};

struct Evidence {
    pid_t server = 0;
    bool listening = false;
    unsigned long waiting = 0; // connections in the accept queue
    std::vector<Connection> connections;
    std::vector<Thread> threads; // of the whole tree
    int processes = 0;           // living
    int zombies = 0;
    double cpu = 0;        // share of one processor
    bool spinning = false; // some thread ran all the time, or wanted to
    std::string asking;    // the caller who waits; empty when none does
    bool asking_reads = true;
};

struct Question {
    pid_t server = 0;
    int port = 0;
    std::map<int, std::string> callers; // by local port
    std::string asking;
    bool asking_reads = true;
};

// Looks for 0.3 s. Needs no privilege; where the system hides what a thread is in, it says less.
Evidence look(const Question& question);

// One sentence for each row of the hang table that fits, evidence first; empty when none fits.
std::vector<std::string> explain(const Evidence& evidence);

// The numbers themselves, one a line.
std::string table(const Evidence& evidence);

// "read(fd 4) = caller A"
std::string spelled_call(const Thread& thread, const Evidence& evidence);
