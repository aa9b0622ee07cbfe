#include "caller.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace {

sockaddr_in address_of(const std::string& host, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    // A server on all addresses is called on the loopback one.
    if (inet_pton(AF_INET, host == "0.0.0.0" ? "127.0.0.1" : host.c_str(), &address.sin_addr) != 1)
        throw std::invalid_argument("not an IPv4 address: " + host);
    return address;
}

const sockaddr* general(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address); // as bind and connect want it
}

// Whether an event comes on a descriptor within that time.
bool comes(int fd, short events, int milliseconds) {
    pollfd ready{fd, events, 0};
    int count = 0;
    while ((count = ::poll(&ready, 1, milliseconds)) < 0) {
    }
    return count > 0;
}

void must(int result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), call);
}

// Does `text` fit `pattern`, where * stands for any text?
bool is_like(std::string_view text, std::string_view pattern) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) return text == pattern;
    if (!text.starts_with(pattern.substr(0, star))) return false;
    text.remove_prefix(star);
    pattern.remove_prefix(star + 1);
    for (std::size_t skipped = 0; skipped <= text.size(); ++skipped)
        if (is_like(text.substr(skipped), pattern)) return true;
    return false;
}

std::string bytes_remark(std::string_view bytes) {
    return counted(bytes.size(), "byte");
}

} // namespace

// Non-blocking, as every call must come back by its deadline; poll() does the waiting.
Caller::Caller(Server& server, const std::string& name, const CallerOptions& options)
    : server_(&server), name_("caller " + name),
      fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    must(fd_.get(), "socket");
    const int at_once = 1; // each send its own segment, or "byte by byte" would arrive in lumps
    must(::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once),
         "setsockopt TCP_NODELAY");
    if (options.receive_buffer > 0)
        must(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &options.receive_buffer,
                          sizeof options.receive_buffer),
             "setsockopt SO_RCVBUF");
    if (!options.from.empty()) bind_to(options.from);
    connect(options);
}

void Caller::bind_to(const std::string& address) {
    const int later = 1; // the kernel picks the port when it knows the other end
    must(::setsockopt(fd_.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &later, sizeof later),
         "setsockopt IP_BIND_ADDRESS_NO_PORT");
    const sockaddr_in own = address_of(address, 0);
    must(::bind(fd_.get(), general(own), sizeof own), "bind");
}

void Caller::connect(const CallerOptions& options) {
    if (hold()) hold()(*server_, name_);
    Deadline deadline = scaled(options.within);
    const sockaddr_in theirs = address_of(server_->host(), server_->port());
    int error = 0;
    said();
    if (::connect(fd_.get(), general(theirs), sizeof theirs) < 0) error = errno;
    if (error == EINPROGRESS) {
        if (!wait_for(POLLOUT, deadline)) {
            tell("waited " + spelled(options.within) + " to be connected", "in vain");
            fail(Outcome::timeout_none,
                 name_ + " could not connect within " + spelled(options.within));
        }
        socklen_t size = sizeof error;
        must(::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size), "getsockopt");
    }
    if (error == ECONNREFUSED || error == ECONNRESET) {
        tell("is refused");
        fail(Outcome::refused, name_ + " called port " + std::to_string(server_->port()) +
                                   " and was refused: nobody listens there");
    }
    if (error != 0) throw std::system_error(error, std::generic_category(), "connect");

    sockaddr_in own{};
    socklen_t size = sizeof own;
    must(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&own), &size), "getsockname");
    local_port_ = ntohs(own.sin_port);
    server_->know(local_port_, name_);
    tell("connects", options.from.empty() ? "" : "from " + options.from);
}

// False: the deadline came first. A server that is on its way through its accept queue will come to
// us: the deadline is renewed as long as the queue gets shorter.
bool Caller::wait_for(short events, Deadline& deadline) {
    do {
        const int whole = deadline.milliseconds();
        if (comes(fd_.get(), events, whole / 2)) return true;
        const unsigned long queue = deadline.is_scaled() ? server_->accept_queue() : 0;
        if (comes(fd_.get(), events, whole - whole / 2)) return true;
        if (queue > 0 && server_->accept_queue() < queue) deadline.renew();
    } while (!deadline.passed());
    return false;
}

// MSG_NOSIGNAL: a server that hangs up is an answer, and SIGPIPE would be the test's end.
std::size_t Caller::send_now(std::string_view bytes) {
    const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN || errno == EINTR) return 0;
    if (errno == EPIPE || errno == ECONNRESET) {
        tell("sends " + in_quotes(bytes), "the connection is gone");
        fail(Outcome::reset, name_ + " could not send " + in_quotes(bytes) +
                                 ": the server had already dropped the connection");
    }
    throw std::system_error(errno, std::generic_category(), "send");
}

void Caller::send(std::string_view bytes, Seconds within) {
    Deadline deadline = scaled(within);
    std::string_view unsent = bytes;
    said();
    while (!unsent.empty()) {
        const std::size_t count = send_now(unsent);
        unsent.remove_prefix(count);
        if (count > 0) deadline.renew();
        if (unsent.empty() || wait_for(POLLOUT, deadline)) continue;
        const std::string part =
            counted(bytes.size() - unsent.size(), "byte") + " of " + counted(bytes.size(), "byte");
        tell("sends " + in_quotes(bytes), "stuck after " + part);
        fail(Outcome::send_blocked, name_ + " could send only " + part + " within " +
                                        spelled(within) + ": the server does not read them");
    }
    said();
    tell("sends " + in_quotes(bytes), bytes_remark(bytes));
}

std::size_t Caller::send_some(std::string_view bytes) {
    const std::size_t count = send_now(bytes);
    said();
    tell("sends " + in_quotes(bytes.substr(0, count)),
         counted(count, "byte") + ", as much as goes without waiting");
    return count;
}

// Takes in what the kernel has, or waits for it.
Caller::Heard Caller::hear(Deadline& deadline) {
    std::array<char, 65'536> buffer;
    while (true) {
        const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (count > 0) {
            times_->heard = server_->story().now();
            heard_.append(buffer.data(), static_cast<std::size_t>(count));
            return Heard::bytes;
        }
        if (count == 0) return Heard::end;
        if (errno == ECONNRESET || errno == EPIPE) return Heard::reset;
        if (errno != EAGAIN && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "recv");
        if (!wait_for(POLLIN, deadline)) return Heard::nothing;
    }
}

std::string Caller::take(std::size_t count) {
    std::string taken = heard_.substr(0, count);
    heard_.erase(0, count);
    return taken;
}

void Caller::fail_to_hear(Heard heard, const std::string& wanted, Seconds within) {
    const std::string so_far = heard_.empty() ? "nothing" : in_quotes(heard_);
    if (heard == Heard::nothing) {
        tell("waited " + spelled(within) + " for " + wanted, "received " + so_far);
        const bool none = heard_.empty();
        fail(none ? Outcome::timeout_none : Outcome::timeout_partial,
             name_ + " waited " + spelled(within) + " for " + wanted + " and received " +
                 (none ? so_far : "only " + so_far));
    }
    const bool end = heard == Heard::end;
    tell("expects " + wanted, end ? "the stream ends" : "a reset");
    fail(end ? Outcome::eof_early : Outcome::reset,
         name_ + " expected " + wanted +
             (end ? ", but the server ended the stream" : ", but the server reset the connection") +
             (heard_.empty() ? "" : " after " + so_far));
}

void Caller::expect(std::string_view bytes, Seconds within) {
    Deadline deadline = scaled(within);
    std::size_t right = 0; // so many are there and as they should be
    while (true) {
        const std::size_t there = std::min(heard_.size(), bytes.size());
        const std::string_view news = std::string_view(heard_).substr(right, there - right);
        if (news != bytes.substr(right, news.size())) {
            tell("expects " + in_quotes(bytes), "received " + in_quotes(heard_));
            fail(Outcome::wrong_bytes,
                 name_ + " expected " + in_quotes(bytes) + " and received " + in_quotes(heard_),
                 hex_rows(heard_, bytes));
        }
        if (there > right) deadline.renew();
        right = there;
        if (right == bytes.size()) break;
        const Heard heard = hear(deadline);
        if (heard != Heard::bytes) fail_to_hear(heard, in_quotes(bytes), within);
    }
    heard_.erase(0, bytes.size());
    tell("receives " + in_quotes(bytes), bytes_remark(bytes));
}

std::string Caller::expect_line(Seconds within) {
    Deadline deadline = scaled(within);
    std::size_t seen = 0;
    std::size_t end = 0;
    while ((end = heard_.find('\n', seen)) == std::string::npos) {
        seen = heard_.size();
        const Heard heard = hear(deadline);
        if (heard != Heard::bytes) fail_to_hear(heard, "a line", within);
    }
    std::string line = take(end + 1);
    tell("receives " + in_quotes(line), bytes_remark(line));
    line.pop_back();
    return line;
}

std::string Caller::expect_line_like(std::string_view pattern, Seconds within) {
    std::string line = expect_line(within);
    if (is_like(line, pattern)) return line;
    fail(Outcome::wrong_bytes, name_ + " expected a line like " + in_quotes(pattern) +
                                   " and received " + in_quotes(line));
}

void Caller::expect_end(Seconds within) {
    Heard heard = Heard::bytes;
    Deadline deadline = scaled(within);
    if (heard_.empty()) heard = hear(deadline);
    switch (heard) {
    case Heard::end:
        tell("sees the end of the stream");
        return;
    case Heard::bytes:
        tell("expects the end", "received " + in_quotes(heard_));
        fail(Outcome::extra_bytes,
             name_ + " expected the end of the stream and received " + in_quotes(heard_) + " more");
    case Heard::reset:
        tell("expects the end", "a reset");
        fail(Outcome::reset,
             name_ + " expected the end of the stream, but the server reset the connection");
    case Heard::nothing:
        tell("waited " + spelled(within) + " for the end", "the stream stays open");
        fail(Outcome::no_eof, name_ + " waited " + spelled(within) +
                                  " for the end of the stream, but it stays open");
    }
}

void Caller::expect_gone(Seconds within) {
    Deadline deadline = scaled(within);
    while (true) {
        heard_.clear();
        const Heard heard = hear(deadline);
        if (heard == Heard::nothing || (heard == Heard::bytes && deadline.passed())) {
            tell("waited " + spelled(within) + " to be dropped", "the connection stays");
            fail(Outcome::no_eof, name_ + " waited " + spelled(within) +
                                      " to be dropped, but the connection stays open");
        }
        if (heard == Heard::bytes) continue;
        tell("is dropped", heard == Heard::end ? "end of the stream" : "a reset");
        return;
    }
}

void Caller::expect_silence(Seconds time) {
    Deadline end(time);
    const Heard heard = heard_.empty() ? hear(end) : Heard::bytes;
    if (heard == Heard::nothing) {
        tell("hears nothing for " + spelled(time));
        return;
    }
    const std::string instead = heard == Heard::bytes ? in_quotes(heard_)
                                : heard == Heard::end ? "the end of the stream"
                                                      : "a reset";
    tell("expects silence for " + spelled(time), "received " + instead);
    fail(heard == Heard::bytes ? Outcome::extra_bytes
         : heard == Heard::end ? Outcome::eof_early
                               : Outcome::reset,
         name_ + " expected to hear nothing for " + spelled(time) + " and received " + instead);
}

std::string Caller::read_exactly(std::size_t count, Seconds within) {
    Deadline deadline = scaled(within);
    while (heard_.size() < count) {
        const Heard heard = hear(deadline);
        if (heard != Heard::bytes) fail_to_hear(heard, counted(count, "byte"), within);
        deadline.renew();
    }
    std::string bytes = take(count);
    tell("receives " + in_quotes(bytes), bytes_remark(bytes));
    return bytes;
}

std::string Caller::read_to_end(std::size_t limit, Seconds within) {
    Deadline deadline = scaled(within);
    Heard heard = Heard::bytes;
    while (heard_.size() <= limit && (heard = hear(deadline)) == Heard::bytes)
        deadline.renew();
    if (heard_.size() > limit) {
        tell("reads to the end", "more than " + counted(limit, "byte"));
        fail(Outcome::extra_bytes, name_ + " expected at most " + counted(limit, "byte") +
                                       " before the end of the stream and received more");
    }
    if (heard == Heard::nothing) {
        tell("waited " + spelled(within) + " for the end", "received " + in_quotes(heard_));
        fail(Outcome::no_eof, name_ + " waited " + spelled(within) +
                                  " for the end of the stream, but it stays open after " +
                                  counted(heard_.size(), "byte"));
    }
    if (heard == Heard::reset) fail_to_hear(heard, "the end of the stream", within);
    std::string bytes = take(heard_.size());
    tell("reads to the end " + in_quotes(bytes), bytes_remark(bytes));
    return bytes;
}

void Caller::half_close() {
    said();
    // Fails only when the server has dropped the connection; who reads next will see it.
    ::shutdown(fd_.get(), SHUT_WR);
    tell("says no more", "half-close");
}

// With a linger time of zero close() throws away what is unsent and sends RST in place of FIN.
void Caller::reset() {
    const linger at_once{1, 0};
    must(::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once),
         "setsockopt SO_LINGER");
    fd_.close();
    tell("resets the connection");
}

// On loopback the two segments keep their order, so the server is in CLOSE_WAIT when RST comes.
void Caller::vanish() {
    ::shutdown(fd_.get(), SHUT_WR);
    tell("says no more", "half-close");
    reset();
}

void Caller::stop_reading() {
    reading_ = false;
    tell("stops reading");
}

void Caller::close() {
    fd_.close();
    tell("closes");
}

int Caller::unread() const {
    int count = 0;
    must(::ioctl(fd_.get(), FIONREAD, &count), "ioctl FIONREAD");
    return count;
}

bool Caller::has_news() {
    return !heard_.empty() || comes(fd_.get(), POLLIN, 0);
}

bool Caller::hears_now(std::string_view beginning) {
    Deadline now(Seconds(0));
    while (heard_.size() < beginning.size() && hear(now) == Heard::bytes) {
    }
    return heard_.starts_with(beginning);
}

Seconds Caller::waited() const {
    return Seconds(times_->heard - times_->said);
}

void Caller::tell(const std::string& what, const std::string& remark) {
    server_->story().tell(name_, what, remark);
}

void Caller::fail(Outcome outcome, const std::string& sentence, const std::string& shown) {
    server_->fail(outcome, sentence, shown, this);
}
