// The contract, part L: the command line.
#include "contract.hpp"

#include <list>

namespace {

// Wrong options, each: status 2, a usage text on standard error, and nobody listens.
void expect_usage(const std::vector<Words>& wrong) {
    std::list<Server> servers; // all at once: some take a while to start
    for (const Words& options : wrong)
        servers.emplace_back(command_with(options), ServerOptions{.ready = Ready::at_once});
    auto options = wrong.begin();
    for (Server& server : servers) {
        INFO("options: ", options->front(), " ", options->back());
        ++options;
        CHECK(server.wait_exit() == 2);
        CHECK(server.log().find("usage: ") != std::string::npos);
        CHECK(server.out().empty());
    }
}

} // namespace

TEST_CASE("L1: a port is a plain decimal number from 0 to 65535, the whole word of it") {
    std::vector<Words> wrong = {{"--port", ""}, {"--port", "-1"}};
    for (const std::string port :
         {"", "abc", "-", "-1", "65536", "70000", "4294967297", "18446744073709551617",
          "12345678901234567890123", "80x", "8080 90", "1e4", "0x1F90", "+80", " 80", "80 ", "8.0",
          "8_0", "\xd9\xa8\xd9\xa0" /* 80 in Arabic digits */})
        wrong.push_back({"--port=" + port});
    expect_usage(wrong);
}

TEST_CASE("L2: an option that there is not, or without its value, or with words behind it") {
    expect_usage({
        {"--no-such-option"},
        {"-p"},
        {"-x"},
        {"8080"},
        {""},
        {"--port"},
        {"--host"},
        {"--service"},
        {"--help=yes"},
        {"--port", "0", "90"},
        {"--", "8080"},
        {"echo"},
        {"%s%n"},
        {"--max-clients"},
        {"--idle-timeout"},
    });
}

TEST_CASE("L3: two services; seconds; numbers of callers") {
    std::vector<Words> wrong;
    for (const char* const service : {"", "gopher", "Echo", "echo ", "hotline,echo"})
        wrong.push_back({"--service", service});
    for (const char* const seconds :
         {"", "abc", "-1", "nan", "inf", "1s", "1,5", "1 2", "0x10", "99999999999999999999"})
        wrong.push_back({"--idle-timeout", seconds});
    for (const char* const number : {"", "abc", "-1", "1.5", "+2", "99999999999999999999"})
        wrong.push_back({"--max-clients", number});
    expect_usage(wrong);
}

TEST_CASE("L4: what is right is taken") {
    Server server = start(Service::echo, {"--port", "0", "--host", "127.0.0.1", "--idle-timeout",
                                          "2.5", "--max-clients", "1000"});
    expect_well(server, Service::echo);
    Server same = start(Service::echo, {"--port=0", "--idle-timeout=0", "--max-clients=0"});
    expect_well(same, Service::echo);
    Server twice = start(Service::hotline, {"--service", "echo"}); // the last word counts
    expect_well(twice, Service::echo);
}

TEST_CASE("L5: --help is answered on standard output") {
    Server server(command_with({"--help"}), {.ready = Ready::at_once});
    CHECK(server.wait_exit() == 0);
    CHECK(server.log().empty());
    for (const char* const option :
         {"usage: ", "--port", "--host", "--service", "--idle-timeout", "--max-clients", "--help"})
        CHECK_MESSAGE(server.out().find(option) != std::string::npos, option);
}

TEST_CASE("L6: help that cannot be written is a failure") {
    Words command = command_with({"--help"});
    command.insert(command.begin(), {"sh", "-c", "exec \"$@\" >/dev/full", "sh"});
    Server server(command, {.ready = Ready::at_once});
    CHECK(server.wait_exit() != 0);
}
