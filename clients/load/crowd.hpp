// The callers of one server, played for a slice of time, again and again. Between two slices nothing
// is under way, so whatever time the server takes belongs to its slices.
#pragma once

#include "line.hpp"

#include <sys/epoll.h>
#include <sys/time.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

using Clock = std::chrono::steady_clock;

// Who calls, and what they do.
struct Scene {
    int active = 0;    // ask, wait for the answer, ask again
    int depth = 1;     // so many questions at a time
    int size = 64;     // bytes of a question
    int rate = 0;      // questions a second for all of them together; 0: each as fast as it goes
    int idle = 0;      // asked once, and are silent since
    int slow = 0;      // ask for a lot, and read little by little
    int flooders = 0;  // send what goes, and read everything
    int newcomers = 0; // at a time: connect, ask once, read to the end, close
};

struct Tally {
    std::uint64_t messages = 0; // answered, of the active and the newcomers
    std::uint64_t bytes = 0;    // answered, of everybody
    double wall = 0;            // seconds
    double load = 0;            // seconds of our own processor time
    std::vector<float> waits;   // microseconds from when a question was due; with a rate only

    void add(const Tally& other);
};

class Crowd {
public:
    Crowd(const Scene& scene, const Pattern& pattern, in_port_t port);

    // Everybody who stays connects, and asks once: a server with room for fewer says so here.
    void gather();

    Tally play(Clock::duration slice);

    // Those who have not said a word since must still be on the line.
    void find_the_silent();

private:
    enum class Part { active, flooder, newcomer, slow, idle };
    struct Caller {
        Line line;
        Part part;
        std::uint64_t number = 0; // among those of their part
        std::uint64_t before = 0; // bytes heard before this slice
        bool wants_room = false;
    };
    using Group = std::vector<std::unique_ptr<Caller>>;

    void introduce(int count, Part part, Group& group);
    static void hear_first_answer(Line& line);
    std::unique_ptr<Caller> connect(Part part);
    void watch(Caller& caller, int how) const;
    void begin();
    Clock::time_point due(std::uint64_t number) const;
    void ask_what_is_due(Clock::time_point now);
    int wait(Clock::time_point now);
    void wake_by(Clock::time_point moment, Clock::time_point now);
    void serve(Caller& caller, std::uint32_t events, Clock::time_point now, Tally& tally);
    void count_answers(Caller& caller, std::uint64_t before, Clock::time_point now, Tally& tally);
    void ask(Caller& caller, std::uint64_t questions);
    void say(Caller& caller, std::size_t bytes);
    void want_room(Caller& caller);
    void take_place(std::unique_ptr<Caller>& place);
    void go_on(Caller& caller, bool there, Tally& tally);
    void nudge_the_slow(Clock::time_point now);
    bool all_is_answered() const;

    Scene scene_;
    const Pattern& pattern_;
    in_port_t port_;
    Fd epoll_;
    Fd alarm_;
    Clock::time_point rings_; // when the alarm does
    std::array<epoll_event, 512> events_{};
    unsigned connected_ = 0;
    Group active_;
    Group flooders_;
    Group newcomers_;
    Group idle_;
    Group slow_;

    // Of this slice.
    Clock::time_point begun_;
    Clock::time_point end_;
    Clock::time_point progress_; // when the last answer came
    Clock::time_point nudged_;
    bool over_ = true;        // no new questions
    std::uint64_t asked_ = 0; // with a rate: how many are out
    std::uint64_t due_ = 0;   // with a rate: how many there are in this slice
};
