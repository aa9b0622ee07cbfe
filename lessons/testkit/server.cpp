#include "server.hpp"

#include "caller.hpp"
#include "evidence.hpp"
#include "launch.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <set>
#include <system_error>
#include <thread>

namespace {

// The servers of this test process: children that must be left to their Server.
std::mutex servers_mutex;
std::set<pid_t> servers;

bool is_a_server(pid_t pid) {
    const std::lock_guard lock(servers_mutex);
    return servers.contains(pid);
}

std::string new_mark() {
    static std::atomic<int> count = 0;
    return "NETSTEPS_SERVER=" + std::to_string(::getpid()) + '-' + std::to_string(++count);
}

// The program without its folder, and its arguments.
std::string spelled_command(const std::vector<std::string>& words) {
    std::string text = words.front().substr(words.front().rfind('/') + 1);
    for (std::size_t i = 1; i < words.size(); ++i) {
        const bool bare = !words[i].empty() && words[i].find(' ') == std::string::npos;
        text += bare ? ' ' + words[i] : " '" + words[i] + '\'';
    }
    return text;
}

// A server in Python forks and starts more slowly than the machine does.
void measure_if_python(const std::string& program) {
    static std::once_flag once;
    if (program.substr(program.rfind('/') + 1).starts_with("python"))
        std::call_once(once, measure_python, program);
}

} // namespace

Hold& hold() {
    static Hold the_hold;
    return the_hold;
}

bool is_crash(int wait_status) {
    return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGTERM &&
           WTERMSIG(wait_status) != SIGKILL && WTERMSIG(wait_status) != SIGINT;
}

std::string spelled_end(int wait_status) {
    if (WIFSIGNALED(wait_status)) return "dies of " + signal_name(WTERMSIG(wait_status));
    return "exits with status " + std::to_string(WEXITSTATUS(wait_status));
}

Server::Server(std::vector<std::string> command, const ServerOptions& options)
    : command_(std::move(command)), mark_(new_mark()), most_output_(options.most_output) {
    // A process whose parent has died comes to us, not to init: nobody escapes by forking twice.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    measure_if_python(command_.front());
    try {
        start(options);
        wait_until_ready(options);
        output_->drain();
    } catch (...) {
        clean_up(); // the destructor does not run for what was never built
        throw;
    }
}

void Server::start(const ServerOptions& options) {
    std::vector<std::string> environment = options.environment;
    environment.push_back(mark_);
    const std::lock_guard lock(servers_mutex); // or another thread would take it for a stray
    Launched launched =
        launch({command_, environment, options.folder, options.limits, options.closed});
    pid_ = launched.pid;
    servers.insert(pid_);
    output_.emplace(std::move(launched.out), std::move(launched.err));
    // Readable when the process ends: so one poll() waits for its words and for its death.
    pidfd_ = OwnedFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_.is_open()) throw std::system_error(errno, std::generic_category(), "pidfd_open");
    story_.tell("server", "starts " + spelled_command(command_), "pid " + std::to_string(pid_));
}

// Reads `listening on HOST:PORT` from the first line of standard output, once that is there.
bool Server::look_for_line() {
    const std::string out = output_->out();
    const std::string words = "listening on ";
    const std::size_t end = out.find('\n');
    if (end == std::string::npos) return false;
    const std::string line = out.substr(0, end);
    const std::size_t colon = line.rfind(':');
    int port = 0;
    if (line.starts_with(words) && colon != std::string::npos)
        std::from_chars(line.data() + colon + 1, line.data() + line.size(), port);
    if (port == 0)
        throw_told(Outcome::no_listen,
                   "the first line of standard output is " + in_quotes(line) +
                       ", not \"listening on HOST:PORT\"",
                   "", "");
    host_ = line.substr(words.size(), colon - words.size());
    port_ = port;
    return true;
}

// A socket that listens and belongs to the server: no probe connects, so the server accepts nobody
// but the test's own callers.
bool Server::look_for_listener() {
    std::vector<Socket> sockets;
    for (const Process& process : tree_of(pid_))
        for (const Socket& socket : sockets_of(process.pid))
            sockets.push_back(socket);
    for (const TcpRow& row : tcp_rows()) {
        if (row.state != tcp_listen) continue;
        for (const Socket& socket : sockets)
            if (socket.inode == row.inode) {
                host_ = "127.0.0.1";
                port_ = row.local_port;
                return true;
            }
    }
    return false;
}

void Server::wait_until_ready(const ServerOptions& options) {
    if (options.ready == Ready::at_once) return;
    const bool by_line = options.ready == Ready::says_so;
    const Deadline deadline = scaled(options.within);
    while (!(by_line ? look_for_line() : look_for_listener())) {
        if (ended()) fail_early();
        if (deadline.passed())
            throw_told(Outcome::no_listen,
                       "the server does not say \"listening on HOST:PORT\" within " +
                           spelled(options.within),
                       "", why_not_listening());
        const int longest = by_line && output_->out_is_open() ? 100 : 10;
        output_->read_some(std::min(longest, deadline.milliseconds()), pidfd_.get());
    }
    story_.tell("server", "listens on " + host_ + ':' + std::to_string(port_));
}

std::string Server::why_not_listening() {
    if (look_for_listener())
        return "    It does listen, on port " + std::to_string(port_) +
               ", but does not say so: is standard output flushed after the line?\n";
    const Evidence evidence = look({pid_, 0, {}, "", true});
    std::string text = "    It has no listening socket.";
    for (const Thread& thread : evidence.threads)
        text += " It is inside " + spelled_call(thread, evidence) + '.';
    return text + '\n';
}

// It ended before it listened.
void Server::fail_early() {
    output_->stop();
    const int status = *ended();
    const std::string sentence = "the server " + spelled_end(status) + " before it listens";
    if (WIFSIGNALED(status)) throw_told(Outcome::crash, sentence, "", "");
    const bool taken = log().find("ddress already in use") != std::string::npos;
    throw_told(taken ? Outcome::port_not_reusable : Outcome::exited_early, sentence, "", "");
}

// Reaps it, once. Until then the kernel keeps its number, so a signal cannot hit a stranger.
std::optional<int> Server::ended() {
    const std::lock_guard lock(mutex_);
    int status = 0;
    if (!wait_status_ && pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
        wait_status_ = status;
        story_.tell("server", spelled_end(status));
    }
    return wait_status_;
}

bool Server::alive() {
    return !ended();
}

bool Server::wait_ended(const Deadline& deadline) {
    pollfd end{pidfd_.get(), POLLIN, 0};
    while (!ended() && !deadline.passed())
        ::poll(&end, 1, deadline.milliseconds());
    return ended().has_value();
}

void Server::signal(int number) {
    if (number == SIGTERM || number == SIGINT) told_to_stop_ = true;
    {
        const std::lock_guard lock(mutex_); // so that nobody reaps it and its number passes on
        if (wait_status_ || ::kill(pid_, number) < 0) return; // it has ended; the test will see
    }
    story_.tell("server", "is sent " + signal_name(number));
}

void Server::signal_all(int number) {
    {
        const std::lock_guard lock(mutex_);
        if (wait_status_ || ::kill(-pid_, number) < 0) return;
    }
    story_.tell("server", "is sent " + signal_name(number), "with all its processes");
}

// The soft limit alone: what is lowered can be raised again, without privilege.
void Server::limit(int resource, rlim_t soft) const {
    const auto which = static_cast<__rlimit_resource>(resource);
    rlimit limit{};
    if (::prlimit(pid_, which, nullptr, &limit) == 0) {
        limit.rlim_cur = soft;
        if (::prlimit(pid_, which, &limit, nullptr) == 0) return;
    }
    throw std::system_error(errno, std::generic_category(), "prlimit");
}

int Server::exit_status() {
    end_is_asked_for_ = true;
    output_->stop(); // its last words may still be on their way
    const int status = *ended();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int Server::wait_exit(Seconds within) {
    if (wait_ended(scaled(within))) return exit_status();
    if (told_to_stop_)
        fail(Outcome::ignores_sigterm,
             "the server was told to stop and still runs after " + spelled(within));
    fail(Outcome::check_timeout, "the server was to end, and still runs after " + spelled(within));
}

void Server::stop(Seconds within) {
    signal(SIGTERM);
    const int status = wait_exit(within);
    output_->stop();
    std::vector<Process> left = strays();
    if (left.empty()) left = strays(); // one that was forking and ending may have been missed
    const bool crashed = is_crash(*ended());
    if (crashed) fail(Outcome::crash, "the server " + spelled_end(*ended()) + " when told to stop");
    if (output_->report()) fail(Outcome::exited, "the server was told to stop");
    if (status == 128 + SIGTERM)
        fail(Outcome::bad_exit,
             "SIGTERM kills the server; it was to finish and exit with status 0");
    if (status != 0)
        fail(Outcome::bad_exit, "the server " + spelled_end(*ended()) + " on SIGTERM; expected 0");
    if (!left.empty())
        fail(Outcome::leak_children, "the server has ended and leaves " +
                                         counted(left.size(), "process", "processes") + " behind");
}

int Server::expect_crash(Seconds within) {
    report_is_asked_for_ = true; // a sanitizer reports the crash, too
    if (!wait_ended(scaled(within)))
        fail(Outcome::check_timeout,
             "the server was to crash, and still runs after " + spelled(within));
    const int status = exit_status();
    if (status == 0) fail(Outcome::exited, "the server was to crash, and exits with status 0");
    return status;
}

void Server::kill() {
    end_is_asked_for_ = true;
    story_.tell("server", "is killed", "with all its processes");
    clean_up();
}

void Server::hang_up_log() {
    output_->hang_up();
    story_.tell("server", "loses the readers of its output");
}

void Server::know(int local_port, const std::string& name) {
    const std::lock_guard lock(mutex_);
    callers_[local_port] = name;
}

std::map<int, std::string> Server::known_callers() const {
    const std::lock_guard lock(mutex_);
    return callers_;
}

// Processes that the server left to us: children of ours that are nobody's server and carry its
// mark. On the way it reaps the dead ones.
std::vector<Process> Server::strays() {
    std::vector<Process> found;
    for (const pid_t child : children_of(::getpid())) {
        if (is_a_server(child)) continue;
        if (is_dead(child)) {
            ::waitpid(child, nullptr, WNOHANG);
            continue;
        }
        const std::string environment =
            '\0' + file_text("/proc/" + std::to_string(child) + "/environ");
        if (environment.find('\0' + mark_ + '\0') != std::string::npos)
            for (const Process& member : tree_of(child))
                found.push_back(member);
    }
    return found;
}

// Kills and reaps whatever is left, several times over: a process may fork while we look, and one
// that is killed takes a moment to die.
void Server::clean_up() {
    if (pid_ <= 0) return;
    std::set<pid_t> dying;
    const Deadline deadline = scaled(std::chrono::seconds(5));
    while (!deadline.passed()) {
        std::vector<Process> left = strays();
        for (const Process& process : tree_of(pid_))
            if (process.pid != pid_ || !ended()) left.push_back(process);
        for (const Process& process : left) {
            ::kill(process.pid, SIGKILL);
            if (process.pid != pid_) dying.insert(process.pid);
        }
        std::erase_if(dying, [](pid_t pid) {
            ::waitpid(pid, nullptr, WNOHANG); // if it has come to us by now
            return ::kill(pid, 0) < 0;
        });
        if (ended() && left.empty() && dying.empty()) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // to let them die
    }
    if (output_) output_->stop();
    const std::lock_guard lock(servers_mutex);
    servers.erase(pid_);
}

Server::~Server() noexcept(false) {
    const bool quiet = std::uncaught_exceptions() > exceptions_;
    const std::optional<int> end = ended();
    const bool crashed = end && is_crash(*end) && !end_is_asked_for_ && !end_is_told_;
    clean_up();
    if (quiet) return;
    if (output_->written() > most_output_) fail_for_output("");
    if (const auto report = output_->report(); report && !report_is_asked_for_ && !report_is_told_)
        throw_told(report->outcome, "a sanitizer reports: " + report->line, "", "");
    if (crashed)
        throw_told(Outcome::crash, "the server " + spelled_end(*end) + ", and nobody asked it to",
                   "", "");
}

Caller Server::call(const std::string& name) {
    return {*this, name};
}

Caller Server::call(const std::string& name, const CallerOptions& options) {
    return {*this, name, options};
}
