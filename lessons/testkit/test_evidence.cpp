// Each row of the hang table, from evidence made by hand: the sentence it supports, and no other.
#include "evidence.hpp"
#include "proc.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

constexpr pid_t server = 100;

Connection connection(const std::string& caller, int fd, unsigned long unread) {
    return {caller, tcp_established, unread, 0, fd >= 0, fd, fd >= 0 ? server : 0};
}

Thread inside(const std::string& call, int fd = -1, pid_t pid = server) {
    return {pid, pid, 'S', 0, call, fd};
}

// A server with A on fd 4 and B, who asks.
Evidence evidence_of(const Connection& b, const std::vector<Thread>& threads) {
    Evidence evidence;
    evidence.server = server;
    evidence.listening = true;
    evidence.waiting = b.accepted ? 0 : 1;
    evidence.connections = {connection("caller A", 4, 0), b};
    evidence.threads = threads;
    evidence.processes = 1;
    evidence.asking = "caller B";
    return evidence;
}

std::string only_sentence(const Evidence& evidence) {
    const std::vector<std::string> sentences = explain(evidence);
    return sentences.size() == 1 ? sentences[0] : std::to_string(sentences.size()) + " sentences";
}

} // namespace

TEST_CASE("not accepted") {
    const Connection b = connection("caller B", -1, 3);
    CHECK(
        only_sentence(evidence_of(b, {inside("read", 4)})) ==
        "caller B is connected only in the kernel: 1 connection waits in the accept queue, with 3 "
        "unread bytes. The server has 1 thread, and it is inside read(fd 4) = caller A: it is not "
        "calling accept().");
    CHECK(only_sentence(evidence_of(b, {inside("epoll_wait")}))
              .ends_with("The server sleeps in epoll_wait, and its loop does not watch the "
                         "listening socket."));
    CHECK(explain(evidence_of(b, {inside("accept", 3)})).empty()); // it is about to be accepted
}

TEST_CASE("accepted, and bytes lie unread") {
    const Connection b = connection("caller B", 5, 3);
    CHECK(only_sentence(evidence_of(b, {inside("poll")})) ==
          "3 unread bytes of caller B wait in the kernel. The server sleeps in poll, and its loop "
          "does not watch fd 5 for reading (or has missed an edge).");
    CHECK(
        only_sentence(evidence_of(b, {inside("futex"), inside("futex")})) ==
        "3 unread bytes of caller B wait in the kernel. Every thread waits for a lock or an empty "
        "queue (futex), and nobody reads fd 5.");
    CHECK(only_sentence(evidence_of(b, {inside("read", 4)}))
              .ends_with("it is inside read(fd 4) = caller A: nobody reads fd 5."));
    CHECK(explain(evidence_of(b, {inside("recv", 5)})).empty());
}

TEST_CASE("accepted, and all is read") {
    const Connection b = connection("caller B", 5, 0);
    CHECK(only_sentence(evidence_of(b, {inside("read", 5)})) ==
          "The server has read all that caller B sent, and waits for more in read(fd 5): did a "
          "whole line already arrive?");
    CHECK(only_sentence(evidence_of(b, {inside("accept", 3), inside("futex")})) ==
          "The server has read all that caller B sent, then waits for a lock (futex), and no other "
          "thread runs.");
    CHECK(only_sentence(evidence_of(b, {inside("send", 4)})) ==
          "The server has read all that caller B sent, and is inside send(fd 4) = caller A, where "
          "it waits until that caller reads.");
    Evidence deaf = evidence_of(b, {inside("send", 5)});
    deaf.asking_reads = false;
    CHECK(only_sentence(deaf) ==
          "The server is writing to caller B, who does not read: flow control holds it.");
    CHECK(explain(evidence_of(b, {inside("poll")})).empty()); // nothing that we could know
    CHECK(explain(evidence_of(b, {inside("?")})).empty());    // where the system hides the call
}

TEST_CASE("what needs no caller who asks") {
    Connection left = connection("caller B", 5, 0);
    left.state = tcp_close_wait;
    Evidence evidence = evidence_of(left, {inside("accept", 3)});
    CHECK(only_sentence(evidence) ==
          "fd 5 is in CLOSE_WAIT: the caller says no more, and the server "
          "has not called close().");
    evidence.connections[1].pid = 101;
    CHECK(only_sentence(evidence).starts_with("fd 5 of child 101 is in CLOSE_WAIT"));

    evidence = evidence_of(connection("caller B", 5, 0), {inside("")});
    evidence.cpu = 0.95;
    CHECK(only_sentence(evidence).starts_with("The server is busy all the time"));
    evidence.cpu = 0.4; // on a loaded machine
    evidence.spinning = true;
    CHECK(only_sentence(evidence).starts_with("The server is busy all the time"));

    evidence = evidence_of(connection("caller B", 5, 0), {inside("accept", 3)});
    evidence.zombies = 2;
    CHECK(only_sentence(evidence) ==
          "2 children have ended, and the parent has not waited for them (zombies).");
    evidence.zombies = 0;
    evidence.listening = false;
    CHECK(only_sentence(evidence) == "No socket listens on the port any more.");
    evidence.listening = true;
    evidence.connections.clear();
    evidence.processes = 3;
    CHECK(only_sentence(evidence).starts_with("2 children live on though every caller has left"));
}

TEST_CASE("the table shows the numbers") {
    Evidence evidence = evidence_of(connection("caller B", -1, 3), {inside("read", 4)});
    evidence.cpu = 0.04;
    CHECK(table(evidence) == "                 state          unread   unsent  descriptor\n"
                             "    caller A     ESTABLISHED         0        0  fd 4\n"
                             "    caller B     ESTABLISHED         3        0  not accepted\n"
                             "    thread 100  S  read(fd 4) = caller A\n"
                             "    accept queue 1, CPU 4 %, processes 1, zombies 0\n");
}

TEST_CASE("a connection that the kernel lists twice is one") {
    const std::string table =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000 0 0 41 1\n"
        "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 42 1\n"
        "   2: 0100007F:1F90 0100007F:C001 08 00000005:00000006 00:00000000 00000000 0 0 43 1\n"
        "   3: 0100007F:1F90 0100007F:C001 08 00000005:00000006 00:00000000 00000000 0 0 43 1\n"
        "   4: 0100007F:1F90 0200007F:C001 01 00000000:00000000 00:00000000 00000000 0 0 0 1\n";
    const std::vector<TcpRow> rows = tcp_rows_in(table);
    REQUIRE(rows.size() == 4); // Several may listen on one port (SO_REUSEPORT): each is a socket.
    CHECK(rows[0].unread == 2);
    CHECK(rows[2].local_port == 8080);
    CHECK(rows[2].remote_port == 0xC001);
    CHECK(rows[2].state == tcp_close_wait);
    CHECK(rows[2].unsent == 5);
    CHECK(rows[2].unread == 6);
    CHECK(rows[2].inode == 43);
    CHECK(rows[3].state == tcp_established); // Another address: another caller.
}
