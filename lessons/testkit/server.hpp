// A server as a process of its own: started, watched from outside, stopped, and always cleaned up.
#pragma once

#include "outcome.hpp"
#include "output.hpp"
#include "owned_fd.hpp"
#include "proc.hpp"
#include "story.hpp"
#include "timeout_scale.hpp"

#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

class Caller;
class Server;
struct CallerOptions;

enum class Ready {
    says_so, // its first line on standard output is `listening on HOST:PORT`
    listens, // /proc shows a listening socket: for a server whose standard output is closed
    at_once, // do not wait: for a program that is no server, or ends by itself
};

struct ServerOptions {
    std::vector<std::string> environment = {}; // "NAME=value", beside what the test has
    std::string folder = {};                   // to work in
    std::map<int, rlim_t> limits = {};         // {{RLIMIT_NOFILE, 64}}: soft limits
    std::size_t most_output = std::numeric_limits<std::size_t>::max(); // more is a failure
    std::vector<int> closed = {}; // of 0, 1, 2: those it starts without
    Ready ready = Ready::says_so;
    Seconds within = std::chrono::seconds(5);
};

struct Counts {
    int descriptors = 0; // of the server itself
    int threads = 0;     // of the server itself
    int children = 0;    // living descendants
    int zombies = 0;
};

// Holds a run so that a person can look: before a caller connects, and, without a name, before the
// story of a failure ends the server. Empty unless a program asks for it.
using Hold = std::function<void(Server&, const std::string& caller)>;
Hold& hold();

// Start it from the test's main thread: when that ends, whatever ends it, the kernel kills the
// server. Every child of a test process belongs to a Server; zombies left to us are reaped.
class Server {
public:
    explicit Server(std::vector<std::string> command, const ServerOptions& options = {});
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Kills what is left. Unless another failure is on its way, throws when the server has crashed
    // unseen, or when a sanitizer reported something.
    ~Server() noexcept(false);

    int port() const { return port_; }
    const std::string& host() const { return host_; }
    pid_t pid() const { return pid_; }
    bool alive();

    // Connects; `options` may bind the caller's own address or make its receive buffer small.
    Caller call(const std::string& name);
    Caller call(const std::string& name, const CallerOptions& options);

    void signal(int number);
    void signal_all(int number);                 // to its whole process group
    void limit(int resource, rlim_t soft) const; // prlimit(2) on the running server

    // Its exit status, or 128 + the signal it died of, as a shell has it.
    int wait_exit(Seconds within = std::chrono::seconds(5));
    void stop(Seconds within = std::chrono::seconds(2)); // SIGTERM; expects exit 0, nobody left
    int expect_crash(Seconds within = std::chrono::seconds(5)); // the signal, or the exit status
    void kill();                                                // no questions asked
    void hang_up_log(); // its standard output and error lead nowhere: SIGPIPE, EPIPE

    std::string log() const { return output_->log(); }
    std::string out() const { return output_->out(); }

    Counts counts();
    int descriptors() { return counts().descriptors; }
    int threads() { return counts().threads; }
    int children() { return counts().children; }
    int zombies() { return counts().zombies; }
    Memory memory() const;              // in bytes, over the tree
    Seconds cpu_time() const;           // over the tree
    unsigned long accept_queue() const; // how many connections wait there for accept
    Seconds
    eager_time() const; // the same and the waiting for a processor: all of it, in a busy loop

    // Waits until nothing is more than it was `before`.
    void settle(const Counts& before, Seconds within = std::chrono::seconds(2));

    Story& story() { return story_; }

    // Tells the story and throws. A server that has died, or whose sanitizer reported something, is
    // the cause whatever the caller saw. `shown` is put under the steps; `asking`: who waits.
    [[noreturn]] void fail(Outcome outcome, const std::string& sentence,
                           const std::string& shown = "", const Caller* asking = nullptr);

    // So that evidence can name the caller behind a port.
    void know(int local_port, const std::string& name);
    std::map<int, std::string> known_callers() const;

private:
    void start(const ServerOptions& options);
    void wait_until_ready(const ServerOptions& options);
    bool look_for_line();
    bool look_for_listener();
    std::string why_not_listening();
    bool wait_ended(const Deadline& deadline);
    std::optional<int> ended(); // its wait status
    int exit_status();
    void clean_up();
    std::vector<Process> strays();
    [[noreturn]] void fail_early();
    [[noreturn]] void fail_for_output(const std::string& remark);
    [[noreturn]] void throw_told(Outcome outcome, const std::string& sentence,
                                 const std::string& shown, const std::string& why);

    std::vector<std::string> command_;
    std::string mark_; // in its environment, by which strays are known
    std::size_t most_output_;
    Story story_;
    std::optional<Output> output_;
    pid_t pid_ = -1;
    OwnedFd pidfd_;
    std::string host_;
    int port_ = 0;
    int exceptions_ = std::uncaught_exceptions();

    mutable std::mutex mutex_; // guards what follows
    std::optional<int> wait_status_;
    std::map<int, std::string> callers_;

    std::atomic<bool> end_is_asked_for_ = false; // by the test: its end is no cause of a failure
    std::atomic<bool> end_is_told_ = false;      // so that the destructor does not tell it again
    std::atomic<bool> report_is_asked_for_ = false;
    std::atomic<bool> report_is_told_ = false;
    std::atomic<bool> told_to_stop_ = false;
};

// Whether it died of a signal that nobody sends to end a program.
bool is_crash(int wait_status);

// "exits with status 3", "dies of SIGSEGV"
std::string spelled_end(int wait_status);
