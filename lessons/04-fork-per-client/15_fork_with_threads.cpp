// 04 fork per client, step 15: fork with threads.
//
// Idea     A thread writes the diary while the next caller comes. fork() copies all memory, but
//          only the thread that calls it: in the child nobody is there who could unlock the diary.
// Run it   ./lab run 04/15    and    ./lab client 01 -- --port PORT
// See      No greeting. After a second the child's alarm clock ends it, and the log says so.
// Was      Until step 14 each process had one thread.
// Broken   All of it. In a program with threads a child may make the calls that a signal handler
//          may make, and nothing else (fork(2)): any other may need a lock that somebody held.

#include "accept_errors.hpp"
#include "check.hpp"
#include "converse.hpp"
#include "fd.hpp"
#include "listen_on.hpp"
#include "log.hpp"
#include "make_service.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <latch>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

// Everybody who writes the diary locks it first.
class Diary {
public:
    void write(const std::string& line) {
        const std::scoped_lock lock(mutex_);
        text_ += line + '\n';
    }

    // Writes a long entry, and holds the lock all the while.
    void write_slowly(std::latch& begun, std::latch& finish) {
        const std::scoped_lock lock(mutex_);
        begun.count_down();
        text_ += "a caller comes, and I am still writing\n";
        finish.wait();
    }

private:
    std::mutex mutex_;
    std::string text_;
};

void on_signal(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    check(::sigaction(number, &action, nullptr), "sigaction");
}

// Serves one caller to the end. No exception leaves this function: in the child, what stands
// outside is the parent's work.
void serve(const Fd& caller, Diary& diary) try {
    // A child that hangs is not seen from outside: it sleeps, like many others. So it has a
    // deadline, and SIGALRM ends it.
    ::alarm(1);
    diary.write("I serve a caller"); // Here it sleeps for ever.
    ::alarm(0);

    PlainSwitchboard switchboard;
    const auto service = make_service("hotline", "fork", caller, switchboard);
    converse(caller, *service);
    say_goodbye(caller);
} catch (const std::exception& error) {
    log_line("lost a caller: ", error.what());
}

// The next caller; nobody where they have left again.
std::optional<Fd> pick_up(const Fd& listener) {
    const int caller = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
    if (caller == -1 && passes(errno)) return std::nullopt;
    return Fd(check(caller, "accept"));
}

// Here it is shown how children end, so the parent waits for each of them.
void reap(pid_t child) {
    int status = 0;
    check(::waitpid(child, &status, 0), "waitpid");
    const char* how = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it was done";
    log_line("child ", std::to_string(child), " has ended: ", how);
}

int main() try {
    on_signal(SIGPIPE, SIG_IGN);
    Diary diary;
    Fd listener = listen_on("127.0.0.1", 0);
    while (true) {
        const auto caller = pick_up(listener);
        if (!caller) continue;

        // In a real program this happens once in a thousand times. The latches make it happen every
        // time: first the thread holds the lock, then we fork, then the thread goes on.
        std::latch begun(1);
        std::latch forked(1);
        const std::jthread diarist([&] { diary.write_slowly(begun, forked); });
        begun.wait();
        const pid_t child = check(::fork(), "fork");
        if (child == 0) {
            listener = Fd();
            serve(*caller, diary);
            ::_exit(
                EXIT_SUCCESS); // The destructor of our diarist would wait for a thread of nobody.
        }
        forked.count_down();
        reap(child);
    }
} catch (const std::exception& error) {
    log_line(error.what());
    return EXIT_FAILURE;
}
