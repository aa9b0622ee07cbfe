#include "crowd.hpp"

#include <poll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

constexpr auto patience = 5s; // No answer for so long: the server is stuck.
constexpr int patience_at_first =
    1000;                    // ms, the same while callers come: there is no room for more
constexpr int at_once = 100; // callers who come before we wait for their answers
constexpr std::size_t flood = 64 * 1024;    // bytes at a time
constexpr std::uint64_t ahead = 256 * 1024; // bytes that a slow reader asks for in advance
constexpr std::size_t sip = 2048;           // bytes that they read at a time
constexpr auto between_sips = 5ms;

double own_time() {
    timespec time{};
    check(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), "clock_gettime");
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void Tally::add(const Tally& other) {
    messages += other.messages;
    bytes += other.bytes;
    wall += other.wall;
    load += other.load;
    waits.insert(waits.end(), other.waits.begin(), other.waits.end());
}

Crowd::Crowd(const Scene& scene, const Pattern& pattern, in_port_t port)
    : scene_(scene), pattern_(pattern), port_(port),
      epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      alarm_(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create")) {
    epoll_event once{}; // Edge-triggered: nobody has to read that it has rung.
    once.events = EPOLLIN | EPOLLET;
    check(::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, alarm_.number(), &once), "epoll_ctl");
}

void Crowd::gather() {
    introduce(scene_.active, Part::active, active_);
    introduce(scene_.flooders, Part::flooder, flooders_);
    introduce(scene_.slow, Part::slow, slow_);
    introduce(scene_.idle, Part::idle, idle_);
    for (const auto* group : {&active_, &flooders_})
        for (const auto& caller : *group)
            watch(*caller, EPOLL_CTL_ADD);
}

// A hundred at a time: many more, and the kernel's queue before accept() would overflow, and drop
// callers who try again a second later.
void Crowd::introduce(int count, Part part, std::vector<std::unique_ptr<Caller>>& group) {
    const auto wanted = static_cast<std::size_t>(count);
    std::size_t served = 0;
    try {
        while (served < wanted) {
            while (group.size() < std::min(wanted, served + at_once)) {
                group.push_back(connect(part));
                group.back()->number = group.size() - 1;
                group.back()->line.say(static_cast<std::size_t>(scene_.size));
            }
            for (; served < group.size(); ++served)
                hear_first_answer(group[served]->line);
        }
    } catch (const Lost& why) {
        throw Lost("serves " + std::to_string(served) + " of " + std::to_string(wanted) +
                   " callers at once: " + why.what());
    }
}

void Crowd::hear_first_answer(Line& line) {
    while (line.unanswered() > 0) {
        pollfd news{.fd = line.number_of(), .events = POLLIN, .revents = 0};
        if (line.owed() > 0) news.events |= POLLOUT;
        if (check(::poll(&news, 1, patience_at_first), "poll") == 0)
            throw Lost("no answer within a second");
        line.hear();
        line.speak();
    }
}

std::unique_ptr<Crowd::Caller> Crowd::connect(Part part) {
    Line line(pattern_, port_, connected_++, part == Part::slow);
    return std::make_unique<Caller>(Caller{.line = std::move(line), .part = part});
}

void Crowd::watch(Caller& caller, int how) const {
    epoll_event wish{};
    wish.events = EPOLLIN | (caller.wants_room ? EPOLLOUT : 0U);
    wish.data.ptr = &caller;
    check(::epoll_ctl(epoll_.number(), how, caller.line.number_of(), &wish), "epoll_ctl");
}

Tally Crowd::play(Clock::duration slice) {
    Tally tally;
    const double own_before = own_time();
    begun_ = progress_ = nudged_ = Clock::now();
    end_ = begun_ + slice;
    begin();
    auto now = begun_;
    while (!over_ || !all_is_answered()) {
        if (scene_.rate > 0) ask_what_is_due(now);
        if (!slow_.empty()) nudge_the_slow(now);
        const int count = wait(now);
        now = Clock::now();
        over_ = over_ || now >= end_;
        if (now > progress_ + patience) throw Lost("is stuck: no answer for 5 s");
        for (int i = 0; i < count; ++i) {
            auto& event = events_[static_cast<std::size_t>(i)];
            if (event.data.ptr == nullptr) continue; // the alarm
            serve(*static_cast<Caller*>(event.data.ptr), event.events, now, tally);
        }
    }
    tally.wall = Seconds(Clock::now() - begun_).count();
    tally.load = own_time() - own_before;
    return tally;
}

void Crowd::begin() {
    over_ = false;
    asked_ = 0;
    due_ = scene_.rate > 0
               ? static_cast<std::uint64_t>(Seconds(end_ - begun_).count() * scene_.rate)
               : 0;
    for (const auto& caller : active_) {
        caller->before = caller->line.heard();
        if (scene_.rate == 0) ask(*caller, static_cast<std::uint64_t>(scene_.depth));
    }
    for (const auto& caller : flooders_)
        say(*caller, flood);
    while (newcomers_.size() < static_cast<std::size_t>(scene_.newcomers))
        newcomers_.push_back(nullptr);
    for (auto& place : newcomers_)
        take_place(place);
}

// The moment at which question `number` of this slice is to be asked, whatever has become of the ones
// before. A wait counts from here. Who asks only when the last answer has come asks a slow server
// less often, and hears of its slowness once (coordinated omission).
Clock::time_point Crowd::due(std::uint64_t number) const {
    return begun_ + std::chrono::duration_cast<Clock::duration>(
                        Seconds(static_cast<double>(number) / scene_.rate));
}

void Crowd::ask_what_is_due(Clock::time_point now) {
    for (; asked_ < due_ && due(asked_) <= now; ++asked_)
        ask(*active_[asked_ % active_.size()], 1);
}

// Until something comes, or something is due.
int Crowd::wait(Clock::time_point now) {
    auto until = over_ ? now + patience : end_;
    if (asked_ < due_) until = std::min(until, due(asked_));
    if (!slow_.empty()) until = std::min(until, nudged_ + between_sips);
    wake_by(until, now);
    const int count =
        ::epoll_wait(epoll_.number(), events_.data(), static_cast<int>(events_.size()), -1);
    return count == -1 && errno == EINTR ? 0 : check(count, "epoll_wait");
}

// Sets the alarm, if it does not ring before that anyway. A limit for each epoll_wait() would set a
// timer for each message: in a virtual machine that is dearer than the message.
void Crowd::wake_by(Clock::time_point moment, Clock::time_point now) {
    if (now < rings_ && rings_ <= moment) return;
    rings_ = moment;
    const auto time = moment.time_since_epoch(); // steady_clock is CLOCK_MONOTONIC on Linux
    itimerspec once{};
    once.it_value = {.tv_sec = time / 1s, .tv_nsec = (time % 1s).count()};
    check(::timerfd_settime(alarm_.number(), TFD_TIMER_ABSTIME, &once, nullptr), "timerfd_settime");
}

void Crowd::serve(Caller& caller, std::uint32_t events, Clock::time_point now, Tally& tally) {
    if ((events & EPOLLOUT) != 0) caller.line.speak();
    if ((events & ~EPOLLOUT) != 0) {
        const auto before = caller.line.heard();
        const bool there = caller.line.hear();
        const auto bytes = caller.line.heard() - before;
        tally.bytes += bytes;
        if (bytes > 0 || !there) progress_ = now;
        if (caller.part == Part::newcomer) return go_on(caller, there, tally);
        if (caller.part == Part::active) count_answers(caller, before, now, tally);
    }
    if (caller.part == Part::flooder && caller.line.owed() == 0 && !over_) caller.line.say(flood);
    want_room(caller);
}

void Crowd::count_answers(Caller& caller, std::uint64_t before, Clock::time_point now,
                          Tally& tally) {
    const auto size = static_cast<std::uint64_t>(scene_.size);
    const auto first = before / size;
    const auto answers = caller.line.heard() / size - first;
    tally.messages += answers;
    if (scene_.rate == 0) {
        if (!over_ && answers > 0) ask(caller, answers);
        return;
    }
    for (auto answer = first; answer < first + answers; ++answer) {
        const auto turn = answer - caller.before / size;
        const auto moment = due(caller.number + turn * active_.size());
        tally.waits.push_back(std::chrono::duration<float, std::micro>(now - moment).count());
    }
}

void Crowd::ask(Caller& caller, std::uint64_t questions) {
    say(caller, static_cast<std::size_t>(questions) * static_cast<std::size_t>(scene_.size));
}

void Crowd::say(Caller& caller, std::size_t bytes) {
    caller.line.say(bytes);
    want_room(caller);
}

// Tells epoll whether this caller has something to send that did not go. A flooder always has.
void Crowd::want_room(Caller& caller) {
    const bool flooding = caller.part == Part::flooder && !over_;
    const bool wants = caller.line.owed() > 0 || flooding;
    if (wants == caller.wants_room) return;
    caller.wants_room = wants;
    watch(caller, EPOLL_CTL_MOD);
}

// A newcomer's life: they ask at once, hear the answer, say no more, and see the server hang up. So
// no more than `newcomers` of them are ever there, and the server has done all its work for each.
void Crowd::take_place(std::unique_ptr<Caller>& place) {
    place = connect(Part::newcomer);
    place->number = static_cast<std::uint64_t>(&place - newcomers_.data());
    watch(*place, EPOLL_CTL_ADD);
    ask(*place, 1);
}

void Crowd::go_on(Caller& caller, bool there, Tally& tally) {
    if (there) {
        if (caller.line.unanswered() == 0) caller.line.say_no_more();
        return;
    }
    ++tally.messages;
    auto& place = newcomers_[caller.number];
    place.reset(); // Before the next one comes: there is to be a place in the server.
    if (!over_) take_place(place);
}

// The slow readers are outside epoll: it would say all the time that there is something to read.
void Crowd::nudge_the_slow(Clock::time_point now) {
    if (now < nudged_ + between_sips) return;
    nudged_ = now;
    for (const auto& caller : slow_) {
        caller->line.hear(sip);
        if (const auto open = caller->line.unanswered(); open + flood <= ahead)
            caller->line.say(flood);
        else
            caller->line.speak();
    }
}

bool Crowd::all_is_answered() const {
    const auto is_quiet = [](const auto& caller) { return !caller || !caller->line.unanswered(); };
    const auto is_gone = [](const auto& caller) { return !caller; };
    return asked_ == due_ && std::ranges::all_of(active_, is_quiet) &&
           std::ranges::all_of(flooders_, is_quiet) && std::ranges::all_of(newcomers_, is_gone);
}

void Crowd::find_the_silent() {
    for (const auto& caller : idle_)
        caller->line.hear(); // Throws if the server has closed it.
}
