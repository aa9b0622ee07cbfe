// What a server has taken from the machine: it and all processes that it made.
//
// They are found by their session: the server was started as the leader of one, and children stay in
// it. The processor time of those that have ended counts once their parent has waited for them: the
// kernel adds it to the parent's then (getrusage(2)), and to nobody's if the parent never waits.
#pragma once

#include "check.hpp"

#include <dirent.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

class Household {
public:
    explicit Household(pid_t leader) : leader_(leader) {}

    struct Use {
        double cpu = 0;    // seconds
        double own = 0;    // KiB: PSS, where what several processes share is divided among them
        long switches = 0; // of context, by the threads that live
        long processes = 0;
        long threads = 0;
        bool forgets_children = false; // ignores SIGCHLD: then nobody learns what they have taken
    };

    // Memory and switches are many files to read, so only `closely`.
    Use look(bool closely = false) const {
        Use use;
        const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), ::closedir);
        while (const dirent* entry = all ? ::readdir(all.get()) : nullptr)
            if (*entry->d_name >= '1' && *entry->d_name <= '9')
                add(use, "/proc/" + std::string(entry->d_name), closely);
        return use;
    }

    // KiB that the kernel holds for all of us in sockets, stacks and page tables.
    static double of_the_kernel() {
        std::ifstream lines("/proc/meminfo");
        double sum = 0;
        double kib = 0;
        for (std::string name, unit; lines >> name >> kib && std::getline(lines, unit);)
            if (name == "Slab:" || name == "KernelStack:" || name == "PageTables:") sum += kib;
        return sum;
    }

private:
    void add(Use& use, const std::string& process, bool closely) const {
        std::string line;
        std::getline(std::ifstream(process + "/stat"), line);
        const auto name_ends = line.rfind(')'); // The name before it may hold anything.
        if (name_ends == std::string::npos) return;
        std::istringstream words(line.substr(name_ends + 2));
        std::string state;
        std::string skipped;
        pid_t session = 0;
        double children = 0;
        double children_kernel = 0;
        long threads = 0;
        words >> state >> skipped >> skipped >> session;
        if (session != leader_) return;
        for (int i = 0; i < 9; ++i)
            words >> skipped;
        words >> children >> children_kernel >> skipped >> skipped >> threads;
        static const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
        use.cpu += own_time(process) + (children + children_kernel) / ticks;
        if (state == "Z") return; // It takes nothing any more.
        ++use.processes;
        use.threads += threads;
        if (closely) {
            use.own += number_after(process + "/smaps_rollup", "Pss:");
            use.switches += switches_of(process);
            use.forgets_children = use.forgets_children || ignores_sigchld(process);
        }
    }

    // To the nanosecond, with the threads that have ended. What stat says counts in hundredths of a
    // second, which is half of one of our slices.
    static double own_time(const std::string& process) {
        clockid_t clock{};
        timespec time{};
        const auto pid = static_cast<pid_t>(std::stol(process.substr(sizeof "/proc/" - 1)));
        if (clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }

    static long switches_of(const std::string& process) {
        std::error_code gone; // A thread may end while we look.
        double sum = 0;
        for (const auto& thread : std::filesystem::directory_iterator(process + "/task", gone)) {
            const std::string status = thread.path().string() + "/status";
            sum += number_after(status, "voluntary_ctxt_switches:");
            sum += number_after(status, "nonvoluntary_ctxt_switches:");
        }
        return static_cast<long>(sum);
    }

    static bool ignores_sigchld(const std::string& process) {
        const std::string title = "SigIgn:";
        std::ifstream lines(process + "/status");
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with(title))
                return (std::stoull(line.substr(title.size()), nullptr, 16) >> (SIGCHLD - 1)) & 1;
        return false;
    }

    static double number_after(const std::string& file, const std::string& name) {
        std::ifstream lines(file);
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with(name)) return std::stod(line.substr(name.size()));
        return 0;
    }

    pid_t leader_;
};
