// The contract, part O: a log and a standard output that nobody reads.
#include "contract.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

using namespace std::chrono_literals;

namespace {

// A pipe or a terminal that takes no more bytes: whoever writes to it sleeps.
struct Stuck {
    std::string name;
    OwnedFd reader;
    OwnedFd writer;
    std::string path;    // where a server may open it
    std::string release; // what a person types so that it takes bytes again
};

Stuck full_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) < 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    const std::string page(4096, '.');
    while (::write(ends[1], page.data(), page.size()) > 0) {
    }
    return {"a full pipe", OwnedFd(ends[0]), OwnedFd(ends[1]),
            "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ends[1]), ""};
}

Stuck terminal(const std::string& name) {
    OwnedFd reader(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    std::array<char, 64> path{};
    if (grantpt(reader.get()) < 0 || unlockpt(reader.get()) < 0 ||
        ptsname_r(reader.get(), path.data(), path.size()) != 0)
        throw std::system_error(errno, std::generic_category(), "a terminal of our own");
    OwnedFd writer(::open(path.data(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    return {name, std::move(reader), std::move(writer), path.data(), ""};
}

Stuck stopped_terminal() {
    Stuck stuck = terminal("a terminal after Ctrl-S");
    stuck.release = "\x11"; // Ctrl-Q
    if (::write(stuck.reader.get(), "\x13", 1) != 1)
        throw std::system_error(errno, std::generic_category(), "write Ctrl-S");
    return stuck;
}

// A window that nobody reads. It has room for some lines more, and then for a part of one.
Stuck frozen_terminal() {
    Stuck stuck = terminal("a frozen terminal");
    const std::string line = std::string(64, '.') + '\n';
    while (::write(stuck.writer.get(), line.data(), line.size()) > 0) {
    }
    std::array<char, 64> some{};
    if (::read(stuck.reader.get(), some.data(), some.size()) <= 0)
        throw std::system_error(errno, std::generic_category(), "read what a terminal shows");
    return stuck;
}

constexpr std::array<Stuck (*)(), 3> all_stuck = {full_pipe, stopped_terminal, frozen_terminal};

// The server's command line, with one of its streams, 1 or 2, opened at `path`. The shell opens it
// for reading too, for a moment: else to open a pipe without a reader would sleep.
Words with_stream(int stream, const std::string& path, const Words& options) {
    Words command = command_with(options);
    const std::string opened = std::to_string(stream) + ">\"$0\"";
    command.insert(command.begin(),
                   {"sh", "-c", "exec 3<>\"$0\" " + opened + " 3<&-; exec \"$@\"", path});
    return command;
}

// Leaves in a way that is worth a line in the log.
void be_rude(Server& server, Service service) {
    Caller caller = served(server, service, "rude");
    caller.send_some(repeated(2000, "echo something for the log\n"));
    caller.reset();
}

std::string read_now(const Stuck& stuck) {
    std::string text(mebibyte, '\0');
    const ssize_t count = ::read(stuck.reader.get(), text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
}

// "7 log lines were dropped" somewhere in the text: 7. And 0 where it says nothing about it.
int dropped_according_to(const std::string& log) {
    const std::size_t at = log.find(" log line");
    if (at == std::string::npos || log.find(" dropped", at) == std::string::npos) return 0;
    const std::size_t before = log.find_last_not_of("0123456789", at - 1);
    return std::atoi(log.substr(before + 1, at - before - 1).c_str());
}

} // namespace

TEST_CASE("O1: a log that takes no more keeps no client waiting, and no signal") {
    for (const auto& stuck_log : all_stuck)
        for (const Service service : both_services) {
            const Stuck stuck = stuck_log();
            CAPTURE(stuck.name);
            Server server(with_stream(2, stuck.path, {"--service", name_of(service)}));
            for (int i = 0; i < 30; ++i)
                be_rude(server, service);
            expect_well(server, service);
        }
}

TEST_CASE("O2: lines of the log that are dropped are counted, and it says how many") {
    // A frozen terminal takes a few lines more, and there may be no more than those.
    for (const auto& stuck_log : {full_pipe, stopped_terminal}) {
        const Stuck stuck = stuck_log();
        CAPTURE(stuck.name);
        Server server(with_stream(2, stuck.path, {}));
        const Counts before = at_rest(server, Service::hotline);
        constexpr int rude = 20;
        for (int i = 0; i < rude; ++i)
            be_rude(server, Service::hotline);
        server.settle(before); // All have been noticed.
        if (!stuck.release.empty())
            CHECK(::write(stuck.reader.get(), stuck.release.data(), 1) == 1);
        std::string log = read_now(stuck);
        CHECK(dropped_according_to(log) == 0);
        const Deadline deadline = scaled(10s);
        while (dropped_according_to(log) == 0 && !deadline.passed()) {
            be_rude(server, Service::hotline);
            server.settle(before);
            log += read_now(stuck);
        }
        const int dropped = dropped_according_to(log);
        CHECK(dropped > 0);
        CHECK(dropped <= rude);
        expect_well(server, Service::hotline);
    }
}

TEST_CASE("O3: on a port that its user knows it serves, whatever its standard output is") {
    const auto expect_served = [](const std::string& path) {
        CAPTURE(path);
        Server server(with_stream(1, path, {"--port", std::to_string(unused_port())}),
                      {.ready = Ready::listens});
        expect_well(server, Service::hotline);
    };
    expect_served("/dev/full");
    for (const auto& stuck_output : all_stuck) {
        const Stuck stuck = stuck_output();
        expect_served(stuck.path);
    }
    Stuck hung_up = full_pipe();
    hung_up.reader.close();
    expect_served(hung_up.path);
}

TEST_CASE("O4: on a port that nobody can learn it does not start, and says why") {
    const auto expect_refused = [](const std::string& path) {
        CAPTURE(path);
        Server server(with_stream(1, path, {}), {.ready = Ready::at_once});
        CHECK(server.wait_exit(3s) == 1);
        CHECK(lines_in(server.log()) == 1);
        CHECK(server.log().find("standard output") != std::string::npos);
        CHECK(server.log().find("choose one yourself") != std::string::npos);
    };
    const Stuck pipe = full_pipe();
    expect_refused(pipe.path);
    const Stuck terminal = stopped_terminal();
    expect_refused(terminal.path);
    Stuck hung_up = full_pipe();
    hung_up.reader.close();
    expect_refused(hung_up.path);
}

TEST_CASE("O5: a start that fails ends, though nobody reads why") {
    Server first = start(Service::hotline);
    for (const auto& stuck_log : all_stuck) {
        const Stuck stuck = stuck_log();
        CAPTURE(stuck.name);
        Server second(with_stream(2, stuck.path, {"--port", std::to_string(first.port())}),
                      {.ready = Ready::at_once});
        CHECK(second.wait_exit(3s) == 1);
    }
    expect_well(first, Service::hotline);
}
