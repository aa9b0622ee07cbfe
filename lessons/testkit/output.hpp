// What a server writes to its standard output and standard error: read so that it never waits for
// a full pipe, kept within bounds, and searched for what a sanitizer reports.
#pragma once

#include "outcome.hpp"
#include "owned_fd.hpp"

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

// A stream of which the beginning and the end are kept.
class KeptText {
public:
    void append(std::string_view bytes);
    std::string text() const;
    const std::string& beginning() const { return beginning_; }

private:
    std::string beginning_;
    std::string end_;
    std::size_t forgotten_ = 0;
};

struct Report {
    Outcome outcome = Outcome::pass;
    std::string line; // "WARNING: ThreadSanitizer: data race (pid=17)"
};

class Output {
public:
    Output(OwnedFd out, OwnedFd err) : out_(std::move(out)), err_(std::move(err)) {}
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output() { stop(); }

    // Reads what is there now, or waits until something is, or until `other` becomes readable.
    // Only while no helper thread drains.
    void read_some(int milliseconds, int other = -1);

    // From now on a helper thread reads, until stop(), which takes in what is still in the pipes.
    void drain();
    void stop();

    // Closes our ends of the pipes: whoever writes next gets SIGPIPE, or EPIPE.
    void hang_up();

    bool out_is_open() const;
    std::string out() const;
    std::string log() const;
    std::size_t written() const; // on both
    std::optional<Report> report() const;

private:
    bool take(OwnedFd& fd, bool is_log);
    void look_for_report(std::string_view bytes);

    mutable std::mutex mutex_;
    OwnedFd out_;
    OwnedFd err_;
    KeptText out_text_;
    KeptText log_;
    std::size_t written_ = 0;
    std::string unfinished_line_;
    std::optional<Report> report_;
    OwnedFd wake_;
    std::thread drainer_;
    std::mutex stopping_;
};
