// A caller: connects to a server, talks, and says what it expects to hear. Every wait has a
// deadline, which is renewed while bytes of a known number come or the server goes through its
// accept queue. Every broken expectation throws Unexpected, with the story of all.
#pragma once

#include "owned_fd.hpp"
#include "server.hpp"
#include "timeout_scale.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

// How long a caller waits where the test does not say; a program may make it shorter for all.
inline Seconds usual = std::chrono::seconds(5);

struct CallerOptions {
    std::string from =
        {}; // its own address, such as 127.0.0.2, so that tools can tell callers apart
    int receive_buffer = 0; // SO_RCVBUF, set before it connects: how much the kernel reads ahead
    Seconds within = usual;
};

// One thread may send while another reads. A caller must not outlive its server.
class Caller {
public:
    Caller(Server& server, const std::string& name, const CallerOptions& options = {});

    void send(std::string_view bytes, Seconds within = usual);
    std::size_t send_some(std::string_view bytes); // how many the kernel takes without waiting

    void expect(std::string_view bytes, Seconds within = usual); // exactly these come next
    std::string expect_line(Seconds within = usual);             // without its newline
    std::string expect_line_like(std::string_view pattern, Seconds within = usual); // * is any text
    void expect_end(Seconds within = usual);  // no more bytes, and the end of the stream
    void expect_gone(Seconds within = usual); // the end or a reset, whatever comes before it
    void expect_silence(Seconds time);        // neither bytes nor an end, for so long
    std::string read_exactly(std::size_t count, Seconds within = usual);
    std::string read_to_end(std::size_t limit, Seconds within = usual);

    void half_close();   // says no more, and listens on
    void reset();        // RST, by SO_LINGER 0
    void vanish();       // FIN, then RST: the server's next send meets a closed door (SIGPIPE)
    void stop_reading(); // tells it to the story; the kernel reads on until its buffer is full
    void close();

    int unread() const;                         // how many bytes the kernel holds for us
    bool has_news();                            // bytes or an end, now
    bool hears_now(std::string_view beginning); // have these come, as the next? takes none of them
    // From the last thing said (or the connecting) to the last byte heard.
    Seconds waited() const;
    const std::string& name() const { return name_; } // "caller B"
    int local_port() const { return local_port_; }
    bool is_reading() const { return reading_; }
    int fd() const { return fd_.get(); }

private:
    enum class Heard { bytes, end, reset, nothing };
    struct Times {
        std::atomic<double> said = 0;
        std::atomic<double> heard = 0;
    };
    void connect(const CallerOptions& options);
    void bind_to(const std::string& address);
    bool wait_for(short events, Deadline& deadline);
    Heard hear(Deadline& deadline);
    std::string take(std::size_t count);
    std::size_t send_now(std::string_view bytes);
    void tell(const std::string& what, const std::string& remark = "");
    void said() { times_->said = server_->story().now(); }
    [[noreturn]] void fail(Outcome outcome, const std::string& sentence,
                           const std::string& shown = "");
    [[noreturn]] void fail_to_hear(Heard heard, const std::string& wanted, Seconds within);

    Server* server_;
    std::string name_;
    OwnedFd fd_;
    int local_port_ = 0;
    bool reading_ = true;
    std::string heard_; // received, not yet asked for
    std::unique_ptr<Times> times_ = std::make_unique<Times>();
};
