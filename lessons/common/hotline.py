"""The services in Python, for the twins: the same answers as hotline.hpp and echo.hpp, byte by byte.

A service takes bytes and gives bytes. It makes no system call and keeps bounded memory. The names
of its methods are those of service.hpp; docs/protocol.md says what the hotline answers.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_LINE = 1024  # without its ending
LIMIT = 16 * 1024  # bytes of input, of answers in one piece, and of what others said
LARGEST_TRANSFER = 1_000_000_000
LONGEST_NAP = 60_000  # milliseconds
PATTERN = b"abcdefghijklmnopqrstuvw" * 712  # what `big` sends; 23 is prime, so a lost block shows


class Service(ABC):
    """What a service is to the server that carries its bytes (service.hpp has the whole story)."""

    @abstractmethod
    def room(self) -> int:
        """How many bytes `receive` takes now. While it is 0, do not read from the caller."""

    @abstractmethod
    def receive(self, heard: bytes) -> None:
        ...

    @abstractmethod
    def end_of_input(self) -> None:
        """The caller says no more. Every answer still owed comes in `unsent`."""

    @abstractmethod
    def unsent(self) -> bytes:
        ...

    @abstractmethod
    def sent(self, count: int) -> None:
        ...

    def nap(self) -> float | None:
        """The seconds for which the handler sleeps: nothing more is answered until `woke`."""
        return None

    def woke(self) -> None:
        ...

    @abstractmethod
    def finished(self) -> bool:
        ...

    @abstractmethod
    def requests(self) -> int:
        ...

    def close(self) -> None:
        """The caller is gone. (C++ has a destructor; Python does not say when an object ends.)"""


class Echo(Service):
    """Every byte comes back (RFC 862)."""

    LARGEST_PIECE = 64 * 1024

    def __init__(self) -> None:
        self._bytes = b""
        self._ended = False
        self._pieces = 0

    def room(self) -> int:
        return 0 if self._ended or self._bytes else self.LARGEST_PIECE

    def receive(self, heard: bytes) -> None:
        self._bytes = heard
        self._pieces += 1

    def end_of_input(self) -> None:
        self._ended = True

    def unsent(self) -> bytes:
        return self._bytes

    def sent(self, count: int) -> None:
        self._bytes = self._bytes[count:]

    def finished(self) -> bool:
        return self._ended and not self._bytes

    def requests(self) -> int:
        return self._pieces


class Switchboard:
    """What all callers share. This one is for a server in which one thread serves everybody."""

    def __init__(self) -> None:
        self._members: list[Hotline] = []
        self._count = 0

    def join(self, member: Hotline) -> None:
        self._members.append(member)

    def leave(self, member: Hotline) -> None:
        self._members.remove(member)

    def count(self) -> int:
        self._count += 1
        return self._count

    def say(self, speaker: Hotline, line: bytes) -> None:
        for member in self._members:
            if member is not speaker:
                member.hear(line)


@dataclass
class Setting:
    """Where a service finds itself; the server tells it."""

    model: str
    pid: int
    thread: str
    descriptor: int
    address: str
    date: Callable[[], str]
    crash: Callable[[], None]


@dataclass
class Transfer:
    """So many bytes on their way, and their checksum."""

    size: int
    left: int
    checksum: int = 1

    def take(self, piece: bytes) -> bytes:
        piece = piece[: self.left]
        self.left -= len(piece)
        self.checksum = zlib.adler32(piece, self.checksum)
        return piece


def number(text: bytes, most: int) -> int | None:
    """Digits and nothing else, up to `most`."""
    if not text.isdigit() or len(text.lstrip(b"0")) > 10 or int(text) > most:
        return None
    return int(text)


class Hotline(Service):
    """The hotline for one caller; what all callers share is the switchboard's."""

    def __init__(self, setting: Setting, switchboard: Switchboard) -> None:
        self._setting = setting
        self._switchboard = switchboard
        self._input = bytearray()
        self._output = bytearray()
        self._said = bytearray()  # what others said, not yet told
        self._missed = 0
        self._giving: Transfer | None = None  # the `big` that is under way
        self._taking: Transfer | None = None  # the `sink` that is under way
        self._nap: float | None = None
        self._ended = False  # the caller says no more
        self._over = False  # we say no more than what is unsent
        self._requests = 0
        self._reply(
            f"Welcome to 10086, {setting.model}, pid {setting.pid}, thread {setting.thread}".encode()
        )
        switchboard.join(self)

    def close(self) -> None:
        self._switchboard.leave(self)

    def room(self) -> int:
        return 0 if self._ended or self._over else LIMIT - len(self._input)

    def receive(self, heard: bytes) -> None:
        self._input += heard
        self._work()

    def end_of_input(self) -> None:
        self._ended = True
        self._work()

    def unsent(self) -> bytes:
        return bytes(self._output)

    def sent(self, count: int) -> None:
        del self._output[:count]
        self._work()

    def nap(self) -> float | None:
        return self._nap

    def woke(self) -> None:
        self._nap = None
        self._reply(b"ok")

    def finished(self) -> bool:
        return self._over and not self._output

    def requests(self) -> int:
        return self._requests

    def hear(self, line: bytes) -> None:
        """Somebody else said this. Who does not read misses lines, and is told how many."""
        if self._missed or len(self._said) + len(line) + 1 > LIMIT:
            self._missed += 1
        else:
            self._said += line + b"\n"
        self._work()

    def _reply(self, line: bytes) -> None:
        self._output += line + b"\n"

    def _work(self) -> None:
        """Answers until there is a piece worth sending, or something else to wait for."""
        if self._output:
            return
        while not self._over and self._nap is None and len(self._output) < LIMIT:
            if not self._go_on():
                return

    def _go_on(self) -> bool:
        """Goes one step on; False if only more input helps."""
        if self._giving:
            return self._give_more(self._giving)
        if self._missed:
            self._said += b"missed %d\n" % self._missed
            self._missed = 0
        self._output += self._said
        self._said.clear()
        return self._take_more(self._taking) if self._taking else self._take_line()

    def _give_more(self, transfer: Transfer) -> bool:
        self._output += transfer.take(PATTERN)
        if not transfer.left:
            self._output += b"\nsum %08x\n" % transfer.checksum
            self._giving = None
        return True

    def _take_more(self, transfer: Transfer) -> bool:
        del self._input[: len(transfer.take(bytes(self._input)))]
        if transfer.left:
            return self._no_more()
        self._reply(b"sunk %d %08x" % (transfer.size, transfer.checksum))
        self._taking = None
        self._requests += 1
        return True

    def _take_line(self) -> bool:
        text, newline, _ = self._input.partition(b"\n")
        line = bytes(text).removesuffix(b"\r")
        if len(line) > LONGEST_LINE:
            self._reply(b"Line too long")
            self._over = True
            return False
        if not newline and not (self._ended and text):
            return self._no_more()
        self._answer(line)
        del self._input[: len(text) + len(newline)]
        if not self._taking:
            self._requests += 1
        return True

    def _no_more(self) -> bool:
        self._over = self._ended
        return False

    def _answer(self, line: bytes) -> None:
        name, space, text = line.partition(b" ")
        if name.upper() == b"EXIT":
            name = b"exit"
        match name, text if space else None:
            case b"0", None:
                self._reply(b"0000")
            case b"exit", None:
                self._over = True
            case b"echo", _:
                self._reply(text)
            case b"upper", _:
                self._reply(text.upper())
            case b"time", None:
                self._reply(self._setting.date().encode())
            case b"who", None:
                here = self._setting
                self._reply(
                    f"pid {here.pid} thread {here.thread} descriptor {here.descriptor}".encode()
                )
            case b"count", None:
                self._reply(b"%d" % self._switchboard.count())
            case b"say", _:
                self._switchboard.say(self, self._setting.address.encode() + b": " + text)
                self._reply(b"said")
            case b"crash", None:
                self._over = True
                self._setting.crash()
            case (b"sleep" | b"big" | b"sink"), _:
                self._answer_number(name, text)
            case _:
                self._reply(b"Do it again")

    def _answer_number(self, name: bytes, text: bytes) -> None:
        value = number(text, LONGEST_NAP if name == b"sleep" else LARGEST_TRANSFER)
        if value is None:
            self._reply(b"Do it again")
        elif name == b"sleep":
            self._nap = value / 1000
        elif name == b"big":
            self._giving = Transfer(value, value)
        else:
            self._taking = Transfer(value, value)


def make_service(name: str, model: str, caller: socket.socket, switchboard: Switchboard) -> Service:
    """A service for this caller; `name` is hotline or echo, `model` is for the greeting."""
    if name == "echo":
        return Echo()
    try:
        address = "{}:{}".format(*caller.getpeername())
    except OSError:  # The caller is gone already.
        address = "0.0.0.0:0"
    here, own_number = threading.current_thread(), threading.get_native_id()
    return Hotline(
        Setting(
            model=model,
            pid=os.getpid(),
            thread=here.name if here is not threading.main_thread() else str(own_number),
            descriptor=caller.fileno(),
            address=address,
            date=time.ctime,
            crash=os.abort,
        ),
        switchboard,
    )
