// Given: the log, on standard error.
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <string_view>

// Writes its pieces as one line, with one system call, so that the lines of two threads or processes
// do not mix. It asks for no memory, since it may have to say that there is none. Never fails: a
// server does not die because nobody reads its log. (It ignores SIGPIPE for that.) The pieces are
// our own words: what a caller sent may hold commands for the reader's terminal.
template <typename... Pieces>
void log_line(const Pieces&... pieces) {
    const std::array<std::string_view, sizeof...(pieces) + 1> words{pieces..., "\n"};
    std::array<iovec, words.size()> line;
    for (size_t i = 0; i < words.size(); ++i)
        line[i] = {const_cast<char*>(words[i].data()), words[i].size()};
    [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, line.data(), line.size());
}
