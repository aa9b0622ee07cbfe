"""What the Python twins share: the command line, the log, the listening socket; how long a caller
may take, and how we stop. How callers are waited for and served is each twin's own."""

from __future__ import annotations

import argparse
import errno
import math
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

TICK = 0.25  # seconds that a call may sleep where nothing else would wake it
GRACE = 1.0  # seconds for the end, after SIGTERM and after goodbye

# What accept() says of a caller who was gone before we picked up (accept(2)): the next may be fine.
PASSING = {
    errno.ECONNABORTED,
    errno.EPERM,
    errno.ENETDOWN,
    errno.EPROTO,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
    errno.ENETUNREACH,
}

# No descriptor or no memory is left: wait before the next accept().
SHORT_OF_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A converter for argparse: plain decimal digits, from lowest to highest."""

    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and lowest <= int(text[:20]) <= highest):
            raise argparse.ArgumentTypeError(
                f"takes a number from {lowest} to {highest}, not {text!r}"
            )
        return int(text)

    return convert


def seconds(text: str) -> float:
    """A converter for argparse: seconds, from 0 to a day."""
    if not text.replace(".", "", 1).isdigit() or float(text) > 86400:
        raise argparse.ArgumentTypeError(f"takes seconds from 0 to 86400, not {text!r}")
    return float(text)


def fill_standard_streams() -> None:
    """A program may be started without them: then a socket would get the number 0, 1 or 2."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    open_terminal_anew()
    log.open()


def open_terminal_anew() -> None:
    """A terminal has room as soon as it takes one byte, and a line is longer. Opened once more it is
    an open file of our own, and to make that one non-blocking disturbs nobody else."""
    if os.isatty(2):
        with suppress(OSError):  # It may belong to another user: then the shell's has to do.
            own = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.dup2(own, 2)
            os.close(own)


def has_room(number: int) -> bool:
    """Would a write of at most PIPE_BUF bytes return at once? poll() says so of a pipe."""
    asked = select.poll()
    asked.register(number, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in asked.poll(0))


class Log:
    """Lines on standard error. Nobody has to read them: where there is no room, a line is dropped,
    and the next one that finds room says how many were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # Between has_room() and write() no other thread writes.
        self._dropped = -1

    def open(self) -> None:
        """Children that we fork drop lines, too. What we all share is the position in an open file
        (fork(2)): that is our counter, and nothing is ever written to the file."""
        self._dropped = os.memfd_create("dropped log lines")

    def write(self, text: str) -> None:
        with self._lock:
            if not has_room(2):
                self._drop(1)
                return
            dropped = self._take_dropped()
            were = "line was" if dropped == 1 else "lines were"
            note = f"{dropped} log {were} dropped\n" if dropped else ""
            line = (note + text).encode(errors="replace")[: select.PIPE_BUF - 1] + b"\n"
            try:
                if os.write(2, line) < len(line):
                    self._drop(dropped + 1)
            except OSError:  # Nobody will ever read it.
                self._drop(dropped + 1)

    def _drop(self, count: int) -> None:
        if self._dropped >= 0:
            os.lseek(self._dropped, count, os.SEEK_CUR)

    def _take_dropped(self) -> int:
        if self._dropped < 0:
            return 0
        count = os.lseek(self._dropped, 0, os.SEEK_CUR)
        try:
            os.lseek(self._dropped, -count, os.SEEK_CUR)
        except OSError:  # Before zero: another process has said how many.
            return 0
        return count


log = Log()


def log_line(text: str) -> None:
    """Writes one line to the log. Never fails, and never waits."""
    log.write(text)


def give_up(text: str) -> NoReturn:
    """Ends the program (status 1), even where nobody reads why."""
    log_line(f"{sys.argv[0]}: {text}")
    sys.exit(1)


def say(text: str) -> None:
    """Writes to standard output at once, or ends the program (status 1)."""
    try:
        os.write(1, text.encode())
    except OSError as error:
        give_up(f"cannot write to standard output: {error.strerror}")


def say_where(address: str, user_has_chosen: bool) -> None:
    """Prints where we listen. Where nobody can read it, a server whose user has chosen the address
    serves all the same. An address that the kernel has chosen nobody could learn."""
    with suppress(OSError):
        if has_room(1) and os.write(1, f"listening on {address}\n".encode()):
            return
    if not user_has_chosen:
        give_up(
            "cannot write to standard output, and nobody would know the port:"
            " choose one yourself, or read the output"
        )
    log_line(f"listening on {address}, which standard output does not take")


class Parser(argparse.ArgumentParser):
    """One that notices when its help cannot be written."""

    def print_help(self, file: object = None) -> None:
        say(self.format_help())


def parse_options(
    description: str, own_options: Callable[[argparse.ArgumentParser], None] = lambda _: None
) -> argparse.Namespace:
    """Reads the command line; ends the program for --help and for wrong options (status 2)."""
    parser = Parser(description=description)
    own_options(parser)
    parser.add_argument(
        "--port",
        metavar="N",
        type=whole_number(0, 65535),
        default=0,
        help="the port to listen on; 0, the default: any that is free",
    )
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="the IPv4 address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--service",
        choices=("hotline", "echo"),
        default="hotline",
        help="what to serve (default: %(default)s)",
    )
    parser.add_argument(
        "--idle-timeout",
        metavar="SECONDS",
        type=seconds,
        default=0,
        help="how long a caller may take for one request, or for one piece of an answer;"
        " 0, the default: for ever",
    )
    parser.add_argument(
        "--max-clients",
        metavar="N",
        type=whole_number(0, 1_000_000),
        default=0,
        help="how many callers to serve at once; 0, the default: as many as this server can",
    )
    return parser.parse_args()


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket, and a line that says so. Ends the program (status 1) where it cannot."""
    try:
        number = "127.0.0.1" if host == "localhost" else host
        socket.inet_pton(socket.AF_INET, number)  # Numbers only: a name server may take minutes.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Else the kernel keeps a small answer back until the other one has acknowledged what went out
        # right before it, for up to 40 ms (Nagle's algorithm). Accepted sockets inherit this.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((number, port))
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        why = error.strerror or "an address is four numbers, such as 127.0.0.1"
        give_up(f"cannot listen on {host}:{port}: {why}")
    say_where("{}:{}".format(*listener.getsockname()), port != 0)
    return listener


class StopFlag:
    """Set by SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.asked = False
        self.end = math.inf  # the moment (time.monotonic) by which we are gone
        self.then: Callable[[], None] = lambda: None  # what else is to be done at once
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, _number: int, _frame: object) -> None:
        self.asked = True
        self.end = time.monotonic() + GRACE
        # Once is enough. At its end Python forgets our handler, and one more would kill us then.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self.then()


class Bell:
    """Ends the sleep of a select() or poll() that watches it, and does so too when it rang a moment
    before the call. Other threads ring it; and signals, once signal.set_wakeup_fd has its number.

    It is a socket that is connected to itself: one descriptor, where a pipe would be two.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("")  # The kernel thinks of a name, unix(7).
        self._socket.connect(self._socket.getsockname())

    def fileno(self) -> int:
        return self._socket.fileno()

    def ring(self) -> None:
        with suppress(BlockingIOError):  # It rings already.
            self._socket.send(b"!")

    def hush(self) -> None:
        with suppress(BlockingIOError):
            while self._socket.recv(1):
                pass

    def close(self) -> None:
        self._socket.close()


def bell_for_signals() -> Bell:
    """Python's own handler, the one in C, rings it: no signal gets lost between two calls."""
    bell = Bell()
    signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    return bell


class TooLate(Exception):
    """The caller is too slow, or we have to stop."""


class Patience:
    """How long a caller may take for one request, or for one piece of an answer."""

    def __init__(self, idle_timeout: float, stop: StopFlag) -> None:
        self._idle_timeout = idle_timeout or math.inf
        self._stop = stop
        self._last_progress = time.monotonic()
        self._requests = 0

    def progress(self) -> None:
        self._last_progress = time.monotonic()

    def heard(self, requests: int) -> None:
        """A caller who drips one byte now and then makes no progress. A whole request is progress."""
        if requests != self._requests:
            self._requests = requests
            self.progress()

    @property
    def end(self) -> float:
        """The moment at which it is over."""
        return min(self._last_progress + self._idle_timeout, self._stop.end)

    def left(self) -> float | None:
        """The seconds until then, as a socket's timeout; None where there is no end."""
        return None if self.end == math.inf else max(self.end - time.monotonic(), 0.001)

    def check(self, now: float) -> None:
        if now > self.end:
            raise TooLate("no time left to stop" if self._stop.asked else "too slow")


def wake_reader(caller: socket.socket) -> None:
    """Whoever sleeps in recv() on this socket wakes and reads an end. close() would not wake them:
    they would sleep on, and the number could be somebody else's by the time they read again."""
    with suppress(OSError):  # The caller may be gone.
        caller.shutdown(socket.SHUT_RD)


def say_goodbye(caller: socket.socket, stop: StopFlag) -> None:
    """Ends our direction, then reads and forgets what the caller still says (lesson 01, step 8)."""
    end = time.monotonic() + GRACE
    with suppress(OSError):  # They may be gone, and then there is nobody to say goodbye to.
        caller.shutdown(socket.SHUT_WR)
        while (left := min(end, stop.end) - time.monotonic()) > 0:
            caller.settimeout(min(left, TICK))
            with suppress(TimeoutError):
                if not caller.recv(16384):
                    return
