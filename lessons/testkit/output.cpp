#include "output.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace {

constexpr std::size_t kept = 65'536; // bytes of each end

std::optional<Outcome> sanitizer_outcome(std::string_view line) {
    const auto says = [&](const char* words) { return line.find(words) != std::string_view::npos; };
    if (says("ThreadSanitizer: ")) return Outcome::sanitizer_data_race;
    if (says("LeakSanitizer: detected")) return Outcome::sanitizer_leak;
    if (says("ERROR: AddressSanitizer")) return Outcome::sanitizer_heap;
    if (says(": runtime error: ")) return Outcome::sanitizer_ub;
    return {};
}

} // namespace

void KeptText::append(std::string_view bytes) {
    const std::size_t room = kept - std::min(kept, beginning_.size());
    beginning_ += bytes.substr(0, room);
    if (bytes.size() <= room) return;
    end_ += bytes.substr(room);
    if (end_.size() <= 2 * kept) return; // cut seldom: each cut moves the rest
    forgotten_ += end_.size() - kept;
    end_.erase(0, end_.size() - kept);
}

std::string KeptText::text() const {
    if (forgotten_ == 0) return beginning_ + end_;
    return beginning_ + "\n... " + std::to_string(forgotten_) + " bytes not kept ...\n" + end_;
}

void Output::look_for_report(std::string_view bytes) {
    constexpr std::size_t longest_line = 4096;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::size_t room = longest_line - std::min(longest_line, unfinished_line_.size());
        unfinished_line_ += bytes.substr(0, end).substr(0, room);
        if (end == std::string_view::npos) return;
        const auto outcome = sanitizer_outcome(unfinished_line_);
        if (outcome && !report_) report_ = Report{*outcome, unfinished_line_};
        unfinished_line_.clear();
        bytes.remove_prefix(end + 1);
    }
}

// Takes what the pipe holds, at most one buffer full. False: nothing is there now.
bool Output::take(OwnedFd& fd, bool is_log) {
    std::array<char, 65'536> buffer;
    const std::lock_guard lock(mutex_);
    if (!fd.is_open()) return false;
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) return errno == EINTR;
    if (count == 0) {
        fd.close();
        return false;
    }
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
    written_ += bytes.size();
    (is_log ? log_ : out_text_).append(bytes);
    if (is_log) look_for_report(bytes);
    return true;
}

// End of file comes when the last process that has the other end is gone, which may be a child that
// outlives the server: so this is no way to learn that the server has ended.
void Output::read_some(int milliseconds, int other) {
    std::array<pollfd, 3> ready{};
    {
        const std::lock_guard lock(mutex_);
        ready = {pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0},
                 pollfd{other, POLLIN, 0}};
    }
    ::poll(ready.data(), ready.size(), milliseconds); // a negative descriptor is skipped
    if (ready[0].revents != 0) take(out_, false);
    if (ready[1].revents != 0) take(err_, true);
}

// A pipe holds 64 KiB. A server that logs more than that into a pipe that nobody reads stands still
// in write(), and looks as if it hung for a reason of its own.
void Output::drain() {
    wake_ = OwnedFd(::eventfd(0, EFD_CLOEXEC));
    drainer_ = std::thread([this] {
        pollfd wake{wake_.get(), POLLIN, 0};
        while (::poll(&wake, 1, 0) == 0)
            read_some(-1, wake_.get());
    });
}

void Output::stop() {
    const std::lock_guard one_at_a_time(stopping_);
    if (drainer_.joinable()) {
        const std::uint64_t one = 1;
        while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
        }
        drainer_.join();
    }
    // The rest, within bounds: a process that escaped us might write for ever.
    for (int i = 0; i < 1000 && take(out_, false); ++i) {
    }
    for (int i = 0; i < 1000 && take(err_, true); ++i) {
    }
}

void Output::hang_up() {
    stop();
    const std::lock_guard lock(mutex_);
    out_.close();
    err_.close();
}

bool Output::out_is_open() const {
    const std::lock_guard lock(mutex_);
    return out_.is_open();
}

std::string Output::out() const {
    const std::lock_guard lock(mutex_);
    return out_text_.text();
}

std::size_t Output::written() const {
    const std::lock_guard lock(mutex_);
    return written_;
}

std::string Output::log() const {
    const std::lock_guard lock(mutex_);
    return log_.text();
}

std::optional<Report> Output::report() const {
    const std::lock_guard lock(mutex_);
    return report_;
}
