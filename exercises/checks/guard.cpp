#include "guard.hpp"

#include "outcome.hpp"
#include "owned_fd.hpp"
#include "proc.hpp"
#include "story.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <system_error>

namespace {

// What a small server may take. A lesson's largest one takes a tenth of it.
constexpr std::size_t most_processes = 150;
constexpr std::size_t most_memory = 256 << 20;
constexpr std::size_t most_disk = 64 << 20;

volatile std::sig_atomic_t stop_asked = 0;
extern "C" void ask_to_stop(int number) {
    stop_asked = number;
}

// All that we have started, but the check itself.
std::vector<pid_t> started_by(pid_t guard, pid_t check) {
    std::vector<pid_t> family = children_of(guard);
    for (std::size_t i = 0; i < family.size(); ++i)
        for (const pid_t child : children_of(family[i]))
            family.push_back(child);
    std::erase(family, check);
    return family;
}

// Those that have ended and wait for their parent to see it count little: on a busy machine it takes
// its time. But without end there may be none, either.
bool are_too_many(const std::vector<pid_t>& family) {
    if (family.size() <= most_processes) return false;
    const auto dead =
        static_cast<std::size_t>(std::count_if(family.begin(), family.end(), is_dead));
    return family.size() - dead > most_processes || dead > 10 * most_processes;
}

std::size_t resident(pid_t pid) {
    std::istringstream pages(file_text("/proc/" + std::to_string(pid) + "/statm"));
    std::size_t all = 0;
    std::size_t in_memory = 0;
    pages >> all >> in_memory;
    return in_memory * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Processes that share pages count them once; to find that out costs time, so it is done late.
std::size_t taken_by(const std::vector<pid_t>& family) {
    std::size_t sum = 0;
    for (const pid_t pid : family)
        sum += resident(pid);
    if (sum <= most_memory) return sum;
    sum = 0;
    for (const pid_t pid : family)
        sum += memory_of(pid).shared_out;
    return sum;
}

std::size_t size_of(const std::filesystem::path& folder) {
    std::size_t sum = 0;
    std::error_code error;
    auto entry = std::filesystem::recursive_directory_iterator(folder, error);
    for (; !error && entry != std::filesystem::recursive_directory_iterator();
         entry.increment(error)) {
        std::error_code gone;
        const auto size = entry->file_size(gone);
        if (!gone) sum += size;
    }
    return sum;
}

// A folder to work in, which goes with all that was written into it.
class Folder {
public:
    Folder() {
        std::string name = std::filesystem::temp_directory_path() / "netsteps-check-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr)
            throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

// The kernel counts the threads of a user, so the limit is over all that the machine has already. It
// does not hold for root: then the guard's own eyes must do.
rlim_t threads_of_machine() {
    struct sysinfo machine {};
    ::sysinfo(&machine);
    return machine.procs;
}

void limit(__rlimit_resource resource, rlim_t most) {
    rlimit now{};
    ::getrlimit(resource, &now);
    const rlim_t soft = std::min(most, now.rlim_max);
    const rlimit wanted{soft, soft};
    ::setrlimit(resource, &wanted);
}

// What every program that the check starts will inherit.
void set_limits() {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, most_disk);
    limit(RLIMIT_CPU, static_cast<rlim_t>(request().seconds) + 10);
    limit(RLIMIT_NPROC, threads_of_machine() + 2 * most_processes);
    if (!request().sanitized) limit(RLIMIT_AS, rlim_t{4} << 30);
}

// One check and what it starts.
class Guard {
public:
    explicit Guard(const std::string& check) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) < 0)
            throw std::system_error(errno, std::generic_category(), "pipe2");
        words_ = OwnedFd(ends[0]);
        OwnedFd write_end(ends[1]);
        const pid_t guard = ::getpid();
        check_ = ::fork();
        if (check_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (check_ == 0) work(check, guard, write_end.get());
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { end_all(false); }

    Verdict verdict() {
        while (listen()) {
            look();
            is_late_ = elapsed() > deadline_;
            if (is_late_ || stop_asked != 0) break;
        }
        seconds_ = elapsed(); // what comes now is no part of the check, and may take long
        end_all(false);
        return understood();
    }

private:
    // In the new process: the check, then its verdict in four parts, each behind a zero byte.
    [[noreturn]] void work(const std::string& check, pid_t guard, int write_end) const {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != guard) ::_exit(1);
        set_limits();
        std::error_code error;
        std::filesystem::current_path(folder_.path(), error);
        const Verdict verdict = run_check(check);
        const std::string words = verdict.code + '\0' + std::to_string(verdict.seconds) + '\0' +
                                  verdict.sentence + '\0' + verdict.story;
        std::string_view rest = words;
        while (!rest.empty()) {
            const ssize_t count = ::write(write_end, rest.data(), rest.size());
            if (count <= 0) break;
            rest.remove_prefix(static_cast<std::size_t>(count));
        }
        ::_exit(0);
    }

    // For a short time. False when the check has said all.
    bool listen() {
        pollfd ready{words_.get(), POLLIN, 0};
        if (::poll(&ready, 1, 20) <= 0) return true;
        std::array<char, 65'536> bytes;
        const ssize_t count = ::read(words_.get(), bytes.data(), bytes.size());
        if (count > 0) heard_.append(bytes.data(), static_cast<std::size_t>(count));
        return count > 0 || (count < 0 && errno == EINTR);
    }

    // Once something is found, the check has a moment left to tell its story.
    void look() {
        if (!finding_.empty()) return;
        const std::vector<pid_t> family = started_by(::getpid(), check_);
        if (are_too_many(family)) {
            found(Outcome::limit_processes, "the server makes processes without end: " +
                                                counted(family.size(), "process", "processes") +
                                                " were there when it was stopped");
        } else if (const std::size_t memory = taken_by(family); memory > most_memory) {
            found(Outcome::limit_memory,
                  "the server takes memory without end: " + counted(memory >> 20, "MB", "MB") +
                      " were taken when it was stopped");
        } else if (const std::size_t disk = size_of(folder_.path()); disk > most_disk) {
            found(Outcome::limit_output,
                  "the server fills the disk: " + counted(disk >> 20, "MB", "MB") +
                      " were written when it was stopped");
        }
    }

    void found(Outcome outcome, const std::string& sentence) {
        code_ = code_of(outcome);
        finding_ = sentence;
        deadline_ = std::min(deadline_, elapsed() + 3);
        end_all(true);
    }

    double elapsed() const { return Seconds(Clock::now() - began_).count(); }

    // Kills until nobody lives, over and over: who loses a parent comes to us, or to the check.
    void end_all(bool spare_the_check) const {
        const Deadline deadline(std::chrono::seconds(30));
        while (end_those_we_see(spare_the_check ? check_ : 0) && !deadline.passed())
            ::poll(nullptr, 0, 1); // a millisecond, to let them die
    }

    // False: there was nobody. A whole process group dies at one blow, and before we look for the
    // children: so a program that forks faster than we look does not outrun us. The check waits for
    // its own dead; ours are those of whom it has not heard.
    static bool end_those_we_see(pid_t spared) {
        bool somebody = false;
        std::vector<pid_t> family = children_of(::getpid());
        for (std::size_t i = 0; i < family.size(); ++i) {
            const pid_t pid = family[i];
            if (pid != spared && !(spared > 0 && is_dead(pid))) {
                somebody = true;
                if (const pid_t group = ::getpgid(pid); group > 1 && group != ::getpgrp())
                    ::kill(-group, SIGKILL);
                ::kill(pid, SIGKILL);
            }
            for (const pid_t child : children_of(pid))
                family.push_back(child);
            if (pid != spared) ::waitpid(pid, nullptr, WNOHANG);
        }
        return somebody;
    }

    Verdict understood() const {
        std::istringstream parts(heard_);
        Verdict verdict;
        std::string seconds;
        const bool whole = std::getline(parts, verdict.code, '\0') &&
                           std::getline(parts, seconds, '\0') &&
                           std::getline(parts, verdict.sentence, '\0');
        std::getline(parts, verdict.story, '\0');
        verdict.seconds = seconds_;
        if (!finding_.empty()) {
            verdict.code = code_;
            verdict.sentence = finding_;
        } else if (is_late_) {
            verdict.code = code_of(Outcome::check_timeout);
            verdict.sentence = "the check did not end within " + spelled(Seconds(deadline_));
        } else if (!whole) {
            verdict.code = code_of(Outcome::harness);
            verdict.sentence = "the check itself ended before it had a verdict";
        } else {
            name_the_limit(verdict);
        }
        return verdict;
    }

    // Where the kernel kept the limit, the server died of it.
    static void name_the_limit(Verdict& verdict) {
        if (verdict.code == "crash:SIGXFSZ") {
            verdict.code = code_of(Outcome::limit_output);
            verdict.sentence = "the server fills the disk: it died of SIGXFSZ at a file of " +
                               counted(most_disk >> 20, "MB", "MB");
        } else if (verdict.code == "crash:SIGXCPU") {
            verdict.code = code_of(Outcome::cpu_spin);
        } else if ((verdict.code == "crash:SIGABRT" || verdict.code == "exited") &&
                   verdict.story.find("std::bad_alloc") != std::string::npos) {
            verdict.code = code_of(Outcome::limit_memory);
            verdict.sentence = "the server asks for more memory than it may have";
        }
    }

    Folder folder_;
    Clock::time_point began_ = Clock::now();
    double deadline_ = request().seconds;
    double seconds_ = 0;
    bool is_late_ = false;
    OwnedFd words_;
    std::string heard_;
    pid_t check_ = -1;
    std::string code_;
    std::string finding_;
};

} // namespace

Verdict run_guarded(const std::string& check) {
    for (const int number : {SIGTERM, SIGINT, SIGHUP})
        std::signal(number, ask_to_stop);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1); // whoever forks twice to get away comes to us
    Verdict verdict = Guard(check).verdict();
    if (stop_asked != 0) ::_exit(128 + stop_asked);
    return verdict;
}
