"""The fault table: which call fails, how, and what a good server makes of it. Data, no deeds."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass


class Answer(enum.Flag):
    """What a server may make of a fault."""

    SERVE = enum.auto()  # nobody notices
    DROP = enum.auto()  # the caller whose call failed is closed, all others are served
    EXIT = enum.auto()  # it ends with status 1 to 125 and says the reason
    STOP = enum.auto()  # asked by SIGTERM, it ends with status 0

    def __str__(self) -> str:
        return " or ".join(str(one.name).lower() for one in Answer if one in self)


SERVE, DROP, EXIT, STOP = Answer.SERVE, Answer.DROP, Answer.EXIT, Answer.STOP


class Scene(enum.Enum):
    """How a trial is played."""

    START = enum.auto()  # the fault is there when the server starts
    DAY = enum.auto()  # it comes while callers of every habit talk
    SHORTAGE = enum.auto()  # it stays for a second, then it heals
    SIGTERM = enum.auto()  # SIGTERM comes while the call is delayed
    PRELOAD = enum.auto()  # a library between the server and libc plays it


@dataclass(frozen=True)
class Column:
    """What the table has to know of one architecture."""

    # The second caller is served when the first has left.
    one_after_another: bool
    # A thread or process for each caller. strace counts the calls of each by itself, so every
    # caller meets the fault.
    task_per_caller: bool
    # A call that waits says EAGAIN. With a readiness call that means "not yet"; without one it is
    # a timeout, and the caller may be dropped for it.
    eagain: Answer


COLUMNS = {
    "01": Column(one_after_another=True, task_per_caller=False, eagain=SERVE | DROP),
    "02": Column(one_after_another=False, task_per_caller=False, eagain=SERVE),
    "03": Column(one_after_another=False, task_per_caller=True, eagain=SERVE | DROP),
    "04": Column(one_after_another=False, task_per_caller=True, eagain=SERVE | DROP),
    "05": Column(one_after_another=False, task_per_caller=False, eagain=SERVE),
    "06": Column(one_after_another=False, task_per_caller=True, eagain=SERVE),
    "06 forking": Column(one_after_another=False, task_per_caller=True, eagain=SERVE),
}


@dataclass(frozen=True)
class Row:
    """Every call of `calls` that a server makes, times every fault, times every occurrence."""

    group: str
    calls: tuple[str, ...]  # as strace names them
    faults: tuple[str, ...]  # an errno's name, or what strace or the preloaded library takes
    occurrences: tuple[str, ...]  # as strace's when=: the 2nd "2", from the 1st on "1+"
    answer: Answer
    scene: Scene = Scene.DAY


def split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


ACCEPT = split("accept accept4")
RECV = split("recvfrom recvmsg read readv")
SEND = split("sendto sendmsg write writev")
WAIT = split("select pselect6 poll ppoll epoll_wait epoll_pwait epoll_pwait2")
FORK = split("fork vfork clone clone3")
REAP = split("wait4 waitid")
SET_UP = split("setsockopt getsockname fcntl epoll_create1 epoll_ctl pipe2 eventfd2 signalfd4")
SET_UP += split("timerfd_create timerfd_settime socketpair")
ON_A_CALLER = split("setsockopt getsockopt getpeername getsockname fcntl ioctl")
MEMORY = split("mmap mprotect mremap")
NAP = split("nanosleep clock_nanosleep")

SHORTAGES = split("EMFILE ENFILE ENOBUFS ENOMEM")


def rows_of_the_start() -> Iterator[Row]:
    start = Scene.START
    errors = split("EMFILE ENFILE ENOBUFS ENOMEM EACCES EAFNOSUPPORT")
    yield Row("start", ("socket",), errors, ("1", "2"), SERVE | EXIT, start)
    errors = split("EADDRINUSE EACCES EADDRNOTAVAIL ENOMEM")
    yield Row("start", ("bind",), errors, ("1", "2"), EXIT, start)
    yield Row("start", ("listen",), split("EADDRINUSE ENOBUFS"), ("1", "2"), EXIT, start)
    errors = split("EMFILE ENFILE ENOMEM ENOSPC ENOPROTOOPT ENOBUFS EINVAL")
    yield Row("start", SET_UP, errors, ("1", "2", "3"), SERVE | EXIT, start)


def rows_of_accept() -> Iterator[Row]:
    errors = split("EINTR EAGAIN ECONNABORTED EPERM")
    yield Row("accept", ACCEPT, errors, ("1", "2", "3", "1..20"), SERVE)
    errors = split("ENETDOWN EPROTO ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP")
    yield Row("accept", ACCEPT, (*errors, "ENETUNREACH"), ("1", "2"), SERVE)
    yield Row("accept", ACCEPT, SHORTAGES, ("1", "2"), SERVE)
    yield Row("accept", ACCEPT, SHORTAGES, ("1+",), SERVE | DROP, Scene.SHORTAGE)
    yield Row("accept", ACCEPT, split("EBADF EINVAL ENOTSOCK"), ("1+",), EXIT)


def rows_of_talking(column: Column) -> Iterator[Row]:
    errors = split("ECONNRESET ETIMEDOUT EHOSTUNREACH ENETUNREACH ECONNREFUSED EPIPE ENOBUFS")
    errors += split("ENOMEM EIO ENOTCONN")
    yield Row("recv", RECV, ("EINTR",), ("1", "2", "3", "1..50"), SERVE)
    yield Row("recv", RECV, ("EAGAIN",), ("1", "2", "3"), column.eagain)
    yield Row("recv", RECV, errors, ("1", "2", "3"), DROP)
    yield Row("recv", RECV, split("ECONNRESET ENOMEM"), ("1+",), DROP)

    errors = split("EPIPE ECONNRESET ETIMEDOUT EHOSTUNREACH ENETUNREACH ENOBUFS ENOMEM EMSGSIZE")
    errors += split("ENOTCONN EACCES")
    yield Row("send", SEND, ("EINTR",), ("1", "2", "3", "1..50"), SERVE)
    yield Row("send", SEND, ("EAGAIN",), ("1", "2", "3"), column.eagain)
    yield Row("send", SEND, errors, ("1", "2", "3"), DROP)
    yield Row("send", SEND, split("EPIPE ENOBUFS"), ("1+",), DROP)

    errors = split("EINVAL ENOPROTOOPT ENOMEM ENOTCONN ENOBUFS ENOTTY")
    yield Row("options", ON_A_CALLER, errors, ("1", "2", "3"), SERVE | DROP)
    yield Row("shutdown", ("shutdown",), split("ENOTCONN EINVAL"), ("1", "2"), SERVE)
    yield Row("close", ("close",), split("EINTR EIO"), ("1", "2", "3"), SERVE)


def rows_of_waiting() -> Iterator[Row]:
    yield Row("wait", WAIT, ("EINTR",), ("1", "2", "3", "1..50"), SERVE)
    yield Row("wait", WAIT, split("ENOMEM EAGAIN"), ("1", "2"), SERVE | EXIT)
    # The log asks with poll whether it has room: where that fails, a line is dropped, and no more.
    errors = split("EBADF EINVAL")
    yield Row("wait", tuple(call for call in WAIT if call != "poll"), errors, ("1+",), EXIT)
    yield Row("wait", ("poll",), errors, ("1+",), SERVE | EXIT)
    yield Row("epoll_ctl", ("epoll_ctl",), split("ENOMEM ENOSPC"), ("1", "2", "3"), DROP)
    yield Row("fork", FORK, split("EAGAIN ENOMEM"), ("1", "2", "1+"), DROP)
    yield Row("reap", REAP, split("EINTR ECHILD"), ("1", "2"), SERVE)
    yield Row("nap", NAP, ("EINTR",), ("1", "2"), SERVE)
    some = SERVE | DROP | EXIT
    yield Row("memory", MEMORY, ("ENOMEM",), ("1", "2", "3", "4", "5"), some)
    # brk(2) knows no errno: what it returns is the end of the memory that we have.
    yield Row("memory", ("brk",), ("retval=0",), ("1", "2", "3", "4", "5"), some)


def rows_of_signals_and_delays() -> Iterator[Row]:
    yield Row("signal", SEND, ("signal=SIGPIPE",), ("1", "2"), SERVE | DROP)
    signals = split("signal=SIGCHLD signal=SIGURG signal=SIGWINCH")
    yield Row("signal", ACCEPT + RECV, signals, ("1", "2"), SERVE)

    calls = ACCEPT + RECV + SEND + WAIT
    yield Row("delay", (*calls, "close"), ("delay_exit=30ms",), ("1..6",), SERVE)
    delays = split("delay_enter=200ms delay_exit=200ms")
    yield Row("SIGTERM", calls, delays, ("1..4",), STOP, Scene.SIGTERM)


def rows_of_the_preload() -> Iterator[Row]:
    preload, once = Scene.PRELOAD, ("",)
    sizes = split("recv+send=1 recv+send=7 recv+send=1000 send=1 send=7 send=1000")
    yield Row("short", ("preload",), sizes, once, SERVE, preload)
    yield Row("short", ("preload",), split("eintr=2 eintr=3"), once, SERVE, preload)
    yield Row("close", ("preload",), ("closed+EINTR",), once, SERVE, preload)
    numbers = tuple(str(number) for number in range(1, 61))
    yield Row("malloc", ("preload",), ("malloc",), numbers, SERVE | DROP, preload)


def rows(column: Column) -> list[Row]:
    return [
        *rows_of_the_start(),
        *rows_of_accept(),
        *rows_of_talking(column),
        *rows_of_waiting(),
        *rows_of_signals_and_delays(),
        *rows_of_the_preload(),
    ]
