// The load generator: the same callers for several servers, by turns of a few milliseconds. `./lab
// bench` starts it, and makes tables of the lines of JSON that it prints.
//
// A machine that is shared changes its speed by half within minutes. Two servers that are measured
// one after the other are measured on two machines, so to speak. Here all are up, and the load goes
// round them in an order that is drawn anew each time: what slows one of them slows all.

#include "awake.hpp"
#include "crowd.hpp"
#include "household.hpp"

#include <getopt.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;

constexpr auto usage = "usage: load [--active N] [--depth N] [--size BYTES] [--rate N] [--idle N] "
                       "[--slow N] [--flooders N] [--newcomers N] [--rounds N] [--slices N] "
                       "[--slice MS] [--server-core N] PID:PORT ...\n";

struct Plan {
    Scene scene;
    int rounds = 9;       // each gives one figure for each server
    int slices = 6;       // in a round, for each server
    int slice = 20;       // milliseconds
    int server_core = -1; // is kept awake, and ours, too
};

// A server under load, with its callers, until it does something wrong.
class Guest {
public:
    Guest(int number, pid_t pid, in_port_t port, const Plan& plan, const Pattern& pattern)
        : number_(number), plan_(plan), household_(pid), crowd_(plan.scene, pattern, port) {}

    // How much room one caller more takes: in the server, and in the kernel for both ends.
    void gather() {
        attempt([&] {
            const auto before = household_.look(true);
            if (before.forgets_children && plan_.scene.newcomers > 0)
                throw Lost("ignores SIGCHLD, so nobody learns what children cost that have ended");
            const double kernel_before = Household::of_the_kernel();
            crowd_.gather();
            const auto after = settled(true);
            const auto& scene = plan_.scene;
            const int callers =
                std::max(scene.active + scene.idle + scene.slow + scene.flooders, 1);
            say() << R"("own": )" << (after.own - before.own) / callers << R"(, "kernel": )"
                  << (Household::of_the_kernel() - kernel_before) / callers << R"(, "resident": )"
                  << after.own << R"(, "processes": )" << after.processes << R"(, "threads": )"
                  << after.threads << "}" << std::endl;
            grown_from_ = after.own;
            last_ = after;
        });
    }

    void play() {
        attempt([&] { tally_.add(crowd_.play(plan_.slice * 1ms)); });
    }

    void end_round(int round) {
        attempt([&] {
            const bool is_warm_up = round < 0;
            const auto now = settled(is_warm_up);
            if (is_warm_up)
                switched_before_ = now.switches;
            else
                report(round, now.cpu - last_.cpu);
            last_ = now;
            tally_ = {};
        });
    }

    void end() {
        attempt([&] {
            crowd_.find_the_silent();
            const auto now = household_.look(true);
            say() << R"("switches": )" << now.switches - switched_before_ << R"(, "messages": )"
                  << messages_ << R"(, "grown": )" << now.own - grown_from_ << "}" << std::endl;
        });
    }

private:
    // What a server does wrong ends its part, and not that of the others.
    template <typename Act>
    void attempt(const Act& act) {
        if (is_lost_) return;
        try {
            act();
        } catch (const Lost& what) {
            is_lost_ = true;
            say() << R"("lost": ")" << what.what() << "\"}" << std::endl;
        }
    }

    // Children end, and are waited for, a moment after their callers have gone.
    Household::Use settled(bool closely) const {
        auto before = household_.look();
        for (int look = 0; look < 50; ++look) {
            std::this_thread::sleep_for(2ms);
            const auto now = household_.look();
            if (now.cpu <= before.cpu) break;
            before = now;
        }
        return household_.look(closely);
    }

    void report(int round, double cpu) {
        messages_ += tally_.messages;
        auto& line = say();
        line << R"("round": )" << round << R"(, "messages": )" << tally_.messages
             << R"(, "bytes": )" << tally_.bytes << R"(, "cpu": )" << cpu << R"(, "wall": )"
             << tally_.wall << R"(, "load": )" << tally_.load << R"(, "waits": [)";
        std::ranges::sort(tally_.waits);
        for (std::size_t i = 0; i < tally_.waits.size(); ++i)
            line << (i > 0 ? "," : "") << static_cast<long>(tally_.waits[i]);
        line << "]}" << std::endl;
    }

    std::ostream& say() const { return std::cout << R"({"server": )" << number_ << ", "; }

    int number_;
    const Plan& plan_;
    Household household_;
    Crowd crowd_;
    Tally tally_;
    Household::Use last_;
    double grown_from_ = 0; // KiB, once everybody was there
    long switched_before_ = 0;
    std::uint64_t messages_ = 0;
    bool is_lost_ = false;
};

void play(const Plan& plan, std::vector<std::unique_ptr<Guest>>& guests) {
    for (const auto& guest : guests)
        guest->gather();
    std::mt19937 dice; // No seed: the same order in every run.
    std::vector<Guest*> order;
    for (const auto& guest : guests)
        order.push_back(guest.get());
    for (int round = -1; round < plan.rounds;
         ++round) { // The round before the first is to warm up.
        for (int slice = 0; slice < (round < 0 ? 1 : plan.slices); ++slice) {
            std::ranges::shuffle(order, dice);
            for (Guest* guest : order)
                guest->play();
        }
        for (const auto& guest : guests)
            guest->end_round(round);
    }
    for (const auto& guest : guests)
        guest->end();
}

int number_from(std::string_view text) {
    int number = 0;
    const auto read = std::from_chars(text.begin(), text.end(), number);
    if (read.ec != std::errc{} || read.ptr != text.end() || number < 0)
        throw std::invalid_argument("a number is wanted, not \"" + std::string(text) + "\"\n" +
                                    usage);
    return number;
}

Plan plan_from(int argc, char** argv) {
    Plan plan;
    Scene& scene = plan.scene;
    const std::array<std::pair<const char*, int*>, 12> numbers{{
        {"active", &scene.active},
        {"depth", &scene.depth},
        {"size", &scene.size},
        {"rate", &scene.rate},
        {"idle", &scene.idle},
        {"slow", &scene.slow},
        {"flooders", &scene.flooders},
        {"newcomers", &scene.newcomers},
        {"rounds", &plan.rounds},
        {"slices", &plan.slices},
        {"slice", &plan.slice},
        {"server-core", &plan.server_core},
    }};
    std::array<option, numbers.size() + 1> known{};
    for (std::size_t i = 0; i < numbers.size(); ++i)
        known[i] = {numbers[i].first, required_argument, nullptr, static_cast<int>(i)};
    for (int chosen = 0; chosen != -1;) {
        chosen = getopt_long(argc, argv, "", known.data(), nullptr);
        if (chosen == '?') throw std::invalid_argument(usage);
        if (chosen != -1) *numbers[static_cast<std::size_t>(chosen)].second = number_from(optarg);
    }
    if (scene.size < 1 || scene.depth < 1) throw std::invalid_argument(usage);
    return plan;
}

// Each caller is a descriptor of ours.
void raise_limit() {
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

int main(int argc, char** argv) try {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM); // Whoever started us is to have no orphan.
    const Plan plan = plan_from(argc, argv);
    raise_limit();
    std::vector<std::jthread> spinners;
    if (plan.server_core != -1)
        for (const int core : std::set{::sched_getcpu(), plan.server_core})
            spinners.push_back(keep_awake(core));
    const Pattern pattern;
    std::vector<std::unique_ptr<Guest>> guests;
    for (int i = optind; i < argc; ++i) {
        const std::string_view said = argv[i];
        const auto colon = std::min(said.find(':'), said.size() - 1);
        const int port = number_from(said.substr(colon + 1));
        if (port < 1 || port > 65535) throw std::invalid_argument(usage);
        guests.push_back(std::make_unique<Guest>(i - optind, number_from(said.substr(0, colon)),
                                                 static_cast<in_port_t>(port), plan, pattern));
    }
    if (guests.empty()) throw std::invalid_argument(usage);
    play(plan, guests);
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << "load: " << error.what() << '\n';
    return EXIT_FAILURE;
}
