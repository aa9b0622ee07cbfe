// Given: the log, on standard error.
#pragma once

#include <unistd.h>

#include <string>

// Writes one line with one system call, so that the lines of two threads or processes do not mix.
// Never fails: a server does not die because nobody reads its log. (It ignores SIGPIPE for that.)
// `text` is our own words: what a caller sent may hold commands for the reader's terminal.
inline void log_line(std::string text) {
    text += '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}
