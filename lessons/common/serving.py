"""What the Python twins share, given as in C++: the command line, the log, the listening socket."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

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


def parse_options(description: str) -> argparse.Namespace:
    """Reads the command line; ends the program for --help and for wrong options (status 2)."""
    parser = Parser(description=description)
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
        self._end = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, _number: int, _frame: object) -> None:
        self.asked = True
        # Once is enough. At its end Python forgets our handler, and one more would kill us then.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def end_of_grace(self, grace: float) -> float:
        """The moment (time.monotonic) by which we are gone, from the first time it is asked."""
        self._end = self._end or time.monotonic() + grace
        return self._end
