#!/usr/bin/env python3
"""Call a server of lesson 06, whatever its kind: tcp, udp, unix or unixgram.

Several callers come at once. Each says its lines (--say), and hears what there is to hear: a greeting
with the name of the class that serves them, and the answers. With datagrams all lines of a caller go
into one, and so do the answers. In the end a table says by whom each was served, and what it means.

    ./lab run 06                       ./lab client 06 -- --port PORT
    ./lab run 06 -- --kind unixgram    ./lab client 06 -- --kind unixgram --path hotline.socket
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import tempfile

from callers import names, table
from talk import (
    Caller,
    Parser,
    TalkError,
    port_number,
    run,
    seconds,
    show,
    timeout_scale,
    whole_number,
)

FAMILIES = {
    "tcp": (socket.AF_INET, socket.SOCK_STREAM),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM),
    "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
    "unixgram": (socket.AF_UNIX, socket.SOCK_DGRAM),
}
WHO = re.compile(rb"Welcome to 10086, (\w+), pid (\d+), thread (.+)")


class Line:
    """One caller. All say what they have to say before the first one listens."""

    def __init__(self, name: str, options: argparse.Namespace, folder: str) -> None:
        self.name = name
        family, kind = FAMILIES[options.kind]
        self.is_stream = kind == socket.SOCK_STREAM
        if options.kind == "tcp":  # A name may stand for several addresses: it tries each.
            caller = Caller(options.host, options.port, timeout=options.timeout)
            caller.connect()
            self.socket = caller.line
            return
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(options.timeout)
        if options.kind == "unixgram":  # Who has no address cannot be answered.
            self.socket.bind(os.path.join(folder, name))
        address = (options.host, options.port) if family == socket.AF_INET else options.path
        self.socket.connect(address)

    def say(self, lines: list[str]) -> None:
        self.socket.sendall("".join(line + "\n" for line in lines).encode())
        if self.is_stream:
            self.socket.shutdown(socket.SHUT_WR)

    def hear(self) -> bytes:
        """All of it: up to the end of the stream, or one datagram."""
        heard = self.socket.recv(65536)
        while self.is_stream and (more := self.socket.recv(65536)):
            heard += more
        return heard


def parse() -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("--kind", choices=FAMILIES, default="tcp", help="(default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="for tcp and udp (%(default)s)")
    parser.add_argument("--port", type=port_number, metavar="N", help="the port that it printed")
    parser.add_argument("--path", default="hotline.socket", help="for unix and unixgram")
    parser.add_argument(
        "--callers", type=whole_number(1, 500), default=3, metavar="N", help="(%(default)s)"
    )
    parser.add_argument("--say", nargs="+", default=["count", "upper hello"], metavar="LINE")
    parser.add_argument(
        "--timeout", type=seconds, default=10 * timeout_scale(), help="seconds (%(default)g)"
    )
    options = parser.parse_args()
    if options.kind in ("tcp", "udp") and options.port is None:
        parser.error(f"--port is missing: the one that the server of kind {options.kind} printed")
    return options


def call(options: argparse.Namespace) -> dict[str, list[bytes]]:
    """What each caller has heard, line by line."""
    heard = {}
    with contextlib.ExitStack() as calls:
        folder = calls.enter_context(tempfile.TemporaryDirectory())
        lines = []
        for name in names(options.callers):
            lines.append(Line(name, options, folder))
            calls.enter_context(lines[-1].socket)
        for line in lines:
            line.say(options.say)
        for line in lines:
            heard[line.name] = line.hear().splitlines()
    return heard


def meaning(served: list[tuple[bytes, bytes]]) -> str:
    if len(served) < 2:
        return "One caller alone shows little: try --callers 3."
    processes, threads = {pid for pid, _ in served}, set(served)
    if len(processes) == len(served):
        return "Each was served by a process of its own."
    if len(threads) == len(served):
        return "Each was served by a thread of its own, in one process."
    return "One thread served them all, one after another."


def main() -> int:
    options = parse()
    try:
        heard = call(options)
    except TimeoutError:
        raise TalkError(f"no answer within {options.timeout:g} s (--timeout)") from None
    except OSError as error:
        raise TalkError(
            f"cannot call the server: {error.strerror}. Is it running, and of this --kind?"
        ) from None
    rows, served = [["caller", "served by", "heard"]], []
    for name, lines in heard.items():
        found = WHO.match(lines[0]) if lines else None
        if not found:
            raise TalkError(f"{name} was not greeted: {show(lines[0]) if lines else 'nothing'}")
        served.append((found[2], found[3]))
        by = f"{found[1].decode()}, pid {found[2].decode()}, thread {found[3].decode()}"
        rows.append([name, by, "; ".join(map(show, lines[1:]))])
    print(f"{table(rows)}\n\n{meaning(served)}", flush=True)
    return 0


if __name__ == "__main__":
    run(main)
