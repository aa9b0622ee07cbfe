// A library between a server and libc. It plays what the kernel may do at any time, and seldom does
// while you look: it takes few bytes, is interrupted, runs out of memory.
//
// Which fault, says the environment: FAULT=
//   recv+send=7    a call takes at most 7 bytes; send=7 only in that direction
//   eintr=3        every third recv() or send() is interrupted
//   closed+EINTR   close() closes, and says that it was interrupted; a second try is reported
//   malloc=5       the fifth malloc(), calloc() or realloc() after the first accept() gives NULL
// What has happened goes into the file that FAULT_REPORT names: a fault that never came proves
// nothing. strace cannot play these: it can only skip a call.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string_view>

struct Fault {
    size_t most_received = SIZE_MAX;
    size_t most_sent = SIZE_MAX;
    long interrupt_every = 0;
    bool interrupt_close = false;
    long failing_allocation = 0;
};

Fault fault;
std::atomic<long> transfers = 0;
std::atomic<long> allocations = 0;
std::atomic<bool> accepting = false;
std::atomic_flag told;

[[gnu::constructor]] void read_the_environment() {
    const char* value = std::getenv("FAULT");
    const std::string_view text = value == nullptr ? "" : value;
    const size_t sign = std::min(text.find('='), text.size());
    const std::string_view name = text.substr(0, sign);
    const long number = sign == text.size() ? 0 : std::atol(value + sign + 1);
    if (name == "recv+send") fault.most_received = fault.most_sent = static_cast<size_t>(number);
    if (name == "send") fault.most_sent = static_cast<size_t>(number);
    if (name == "eintr") fault.interrupt_every = number;
    if (name == "closed+EINTR") fault.interrupt_close = true;
    if (name == "malloc") fault.failing_allocation = number;
}

// No allocation in here: it is malloc() that reports. And no call that we stand in front of.
void report(std::string_view line) {
    const char* path = std::getenv("FAULT_REPORT");
    if (path == nullptr) return;
    const int error = errno;
    const auto file = ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::syscall(SYS_write, file, line.data(), line.size());
    ::syscall(SYS_close, file);
    errno = error;
}

// Of faults that come again and again, the first is worth a line.
void report_once(std::string_view line) {
    if (!told.test_and_set()) report(line);
}

bool is_socket(int descriptor) {
    int type = 0;
    socklen_t size = sizeof type;
    const int error = errno;
    const bool yes = ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    errno = error;
    return yes;
}

bool is_interrupted() {
    if (fault.interrupt_every == 0 || ++transfers % fault.interrupt_every != 0) return false;
    report_once("interrupted\n");
    errno = EINTR;
    return true;
}

size_t cut(size_t size, size_t most) {
    if (size > most) report_once("cut\n");
    return std::min(size, most);
}

bool allocation_fails() {
    if (fault.failing_allocation == 0 || !accepting) return false;
    if (++allocations != fault.failing_allocation) return false;
    report("no memory\n");
    errno = ENOMEM;
    return true;
}

// NOLINTBEGIN(bugprone-reserved-identifier, readability-*): libc chose these names.
extern "C" {

// Here libc keeps what we stand in front of.
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);

void* malloc(size_t size) noexcept {
    return allocation_fails() ? nullptr : __libc_malloc(size);
}

void* calloc(size_t count, size_t size) noexcept {
    return allocation_fails() ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* memory, size_t size) noexcept {
    return allocation_fails() ? nullptr : __libc_realloc(memory, size);
}

int accept4(int listener, sockaddr* address, socklen_t* size, int flags) {
    const auto caller = ::syscall(SYS_accept4, listener, address, size, flags);
    if (caller != -1) accepting = true;
    return static_cast<int>(caller);
}

int accept(int listener, sockaddr* address, socklen_t* size) {
    return accept4(listener, address, size, 0);
}

ssize_t recv(int socket, void* bytes, size_t size, int flags) {
    if (is_interrupted()) return -1;
    const size_t part = cut(size, fault.most_received);
    return ::syscall(SYS_recvfrom, socket, bytes, part, flags, nullptr, nullptr);
}

ssize_t send(int socket, const void* bytes, size_t size, int flags) {
    if (is_interrupted()) return -1;
    const size_t part = cut(size, fault.most_sent);
    return ::syscall(SYS_sendto, socket, bytes, part, flags, nullptr, 0);
}

ssize_t read(int descriptor, void* bytes, size_t size) {
    if (is_socket(descriptor)) return recv(descriptor, bytes, size, 0);
    return ::syscall(SYS_read, descriptor, bytes, size);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
    if (is_socket(descriptor)) return send(descriptor, bytes, size, 0);
    return ::syscall(SYS_write, descriptor, bytes, size);
}

int close(int descriptor) {
    const bool fails = fault.interrupt_close && is_socket(descriptor);
    const auto result = ::syscall(SYS_close, descriptor);
    if (fault.interrupt_close && result == -1 && errno == EBADF)
        report("second close of a descriptor\n");
    if (!fails) return static_cast<int>(result);
    report_once("closed and interrupted\n");
    errno = EINTR;
    return -1;
}
}
// NOLINTEND(bugprone-reserved-identifier, readability-*)
