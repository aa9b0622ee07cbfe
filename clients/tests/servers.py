"""Small servers for the tests: right ones, and wrong ones that a client must see through."""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Generator

from processes import scaled

PATTERN = b"abcdefghijklmnopqrstuvw"
TIMEOUT = scaled(20)  # seconds; a test that hangs ends by itself

Serve = Callable[[socket.socket], None]


class Server:
    """Listens on a port that the kernel chooses, and serves each caller in a thread of its own;
    with `one_at_a_time`, in the one thread that accepts: the server of lesson 01."""

    def __init__(self, serve: Serve, one_at_a_time: bool = False, accepts: bool = True) -> None:
        self._serve, self._one_at_a_time, self._accepts = serve, one_at_a_time, accepts
        self._callers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Server:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        if self._accepts:
            self._start(self._accept_all)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def stop(self) -> None:
        """Hangs up on everybody, now."""
        for open_socket in [self._listener, *self._callers]:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            caller.settimeout(TIMEOUT)
            self._callers.append(caller)
            if self._one_at_a_time:
                self._attend(caller)
            else:
                self._start(self._attend, caller)

    def _attend(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            self._serve(caller)
            caller.shutdown(socket.SHUT_WR)
            while caller.recv(65536):  # what is left unread would turn our goodbye into a reset
                pass


GREETING = b"Welcome to 10086, test, pid 1, thread 1\n"


@functools.cache  # a slow machine makes 64 MB of it once, and not for each caller
def pattern(count: int) -> bytes:
    return (PATTERN * (count // len(PATTERN) + 1))[:count]


def checksum(data: bytes) -> bytes:
    return b"%08x" % zlib.adler32(data)


def lines(caller: socket.socket) -> Generator[bytes, None, None]:
    """Whole lines; an unfinished one at the end of the stream counts. None is longer than 1,025
    bytes: more of it is left where it is."""
    kept = b""
    while True:
        while b"\n" in kept[:1026]:
            line, kept = kept.split(b"\n", 1)
            if re.fullmatch(rb"sink \d{1,9}", line):
                kept = yield from _sunk(caller, line, kept)
            else:
                yield line
        if len(kept) > 1024:
            yield kept[:1025]
        data = caller.recv(4096)
        if not data:
            if kept:
                yield kept
            return
        kept += data


def _sunk(caller: socket.socket, line: bytes, kept: bytes) -> Generator[bytes, None, bytes]:
    wanted = int(line.split()[1])
    while len(kept) < wanted:
        kept += caller.recv(65536)
    yield b"%b %b" % (line, checksum(kept[:wanted]))
    return kept[wanted:]


def hotline(caller: socket.socket) -> None:
    """The protocol, as far as a client can tell."""
    caller.sendall(GREETING)
    converse(caller)


def converse(caller: socket.socket) -> None:
    for line in lines(caller):
        if len(line) > 1024:
            caller.sendall(b"Line too long\n")
            return
        if line.lower() == b"exit" or line == b"crash":
            return
        caller.sendall(answer(line))


@functools.cache
def big(count: int) -> bytes:
    return pattern(count) + b"\nsum " + checksum(pattern(count)) + b"\n"


def answer(line: bytes) -> bytes:
    verb, _, text = line.partition(b" ")
    match verb:
        case b"0":
            return b"0000\n"
        case b"echo":
            return text + b"\n"
        case b"sleep" if text.isdigit():
            time.sleep(int(text) / 1000)
            return b"ok\n"
        case b"big" if text.isdigit():
            return big(int(text))
        case b"sink" if re.fullmatch(rb"\d+ [0-9a-f]{8}", text):
            return b"sunk " + text + b"\n"
        case b"say":
            return b"127.0.0.9:999: somebody else\nsaid\n"
    return b"Do it again\n"


def hard_reset(caller: socket.socket) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()
