"""What the Python twins share: the command line, the log, the listening socket; how long a caller
may take, and how we stop. How callers are waited for and served is each twin's own."""

from __future__ import annotations

import argparse
import errno
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

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


def say(text: str) -> None:
    """Writes to standard output at once, or ends the program (status 1)."""
    try:
        os.write(1, text.encode())
    except OSError as error:
        sys.exit(f"{sys.argv[0]}: cannot write to standard output: {error.strerror}")


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


def log_line(text: str) -> None:
    """Writes one line to standard error; a server does not die because nobody reads its log."""
    try:
        os.write(2, (text + "\n").encode())
    except OSError:
        pass


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
        sys.exit(f"{sys.argv[0]}: cannot listen on {host}:{port}: {why}")
    say("listening on {}:{}\n".format(*listener.getsockname()))
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
