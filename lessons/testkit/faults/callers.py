"""The callers of a trial: each has a habit, and each ends with a fate."""

from __future__ import annotations

import os
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self


def measured_scale() -> float:
    """How much slower than usual the machine is, from 1 to 20: a fork with all that runs beside."""
    times = []
    for _ in range(5):
        begin = time.monotonic()
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        times.append(time.monotonic() - begin)
    return min(20.0, max(1.0, sorted(times)[2] / 0.003))


TIMEOUT_SCALE = measured_scale() * float(os.environ.get("NETSTEPS_PATIENCE") or 1)
TIMEOUT = 6.0 * TIMEOUT_SCALE  # seconds until a caller was left hanging; a shortage may take two


def soon() -> float:
    return time.monotonic() + TIMEOUT


class Unexpected(Exception):
    """Not what a good server does."""


class Dropped(Unexpected):
    """The server closed, or reset, before all was said."""


class LeftHanging(Unexpected):
    """Neither an answer nor the end comes in time."""


class WrongAnswer(Unexpected):
    """Other bytes than the ones we are owed."""


class Caller:
    """A connection. Every answer has a deadline."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket = socket.socket()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    @contextmanager
    def _waiting_for(self, what: str, deadline: float) -> Iterator[None]:
        """Makes what a failing call says into what the server did."""
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            yield
        except TimeoutError:
            raise LeftHanging(f"{what} never came") from None
        except OSError as error:
            raise Dropped(f"{error.strerror}, not {what}") from None

    def ring(self) -> None:
        """Connects, whether anybody picks up or not."""
        with self._waiting_for("a connection", soon()):
            self.socket.connect(("127.0.0.1", self._port))

    def say(self, text: bytes) -> None:
        with self._waiting_for(f"an ear for {text[:30]!r}", soon()):
            self.socket.sendall(text)

    def expect(self, answer: bytes) -> None:
        """Exactly these bytes come, none long after the one before. Whoever is dropped got a
        beginning of them."""
        while answer:
            with self._waiting_for(f"{answer[:30]!r}", soon()):
                piece = self.socket.recv(min(65536, len(answer)))
            if not piece:
                raise Dropped(f"the end came, not {answer[:30]!r}")
            if not answer.startswith(piece):
                raise WrongAnswer(f"{piece[:30]!r} came, not {answer[:30]!r}")
            answer = answer[len(piece) :]

    def expect_greeting(self) -> None:
        self.expect(b"Welcome to 10086, ")
        deadline = soon()
        byte = b""
        while byte != b"\n":
            with self._waiting_for("the end of the greeting", deadline):
                byte = self.socket.recv(1)
            if not byte:
                raise Dropped("the end came in the middle of the greeting")

    def expect_end(self) -> None:
        with self._waiting_for("the end", soon()):
            extra = self.socket.recv(100)
        if extra:
            raise WrongAnswer(f"{extra!r} came, not the end")

    def half_close(self) -> None:
        with self._waiting_for("a half-close", soon()):
            self.socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def big_answer(size: int) -> bytes:
    pattern = b"abcdefghijklmnopqrstuvw"
    text = (pattern * (size // len(pattern) + 1))[:size]
    return text + b"\nsum %08x\n" % zlib.adler32(text)


def talker(caller: Caller) -> None:
    """Asks for everything, one thing after another."""
    caller.expect_greeting()
    for _ in range(3):
        caller.say(b"0\n")
        caller.expect(b"0000\n")
    for _ in range(2):
        caller.say(b"sleep 5\n")
        caller.expect(b"ok\n")
    caller.say(b"big 100000\n")
    caller.expect(big_answer(100_000))
    caller.say(b"exit\n")
    caller.expect_end()


def half_closer(caller: Caller) -> None:
    caller.expect_greeting()
    caller.say(b"echo one\necho two")
    caller.half_close()
    caller.expect(b"one\ntwo\n")
    caller.expect_end()


def resetter(caller: Caller) -> None:
    caller.expect_greeting()
    caller.reset()


def newcomer(caller: Caller) -> None:
    caller.expect_greeting()
    caller.say(b"0\nexit\n")
    caller.expect(b"0000\n")
    caller.expect_end()


def echo_talker(caller: Caller) -> None:
    for text in (b"one\n", b"two\n", b"three\n", bytes(range(256)) * 200):
        caller.say(text)
        caller.expect(text)
    caller.half_close()
    caller.expect_end()


def echo_resetter(caller: Caller) -> None:
    caller.say(b"hey")
    caller.expect(b"hey")
    caller.reset()


Habit = Callable[[Caller], None]


@dataclass(frozen=True)
class Service:
    """The words that a service is tried with."""

    question: bytes
    answer: bytes
    habits: tuple[Habit, ...]
    newcomer: Habit
    greets: bool

    def greet(self, caller: Caller) -> None:
        if self.greets:
            caller.expect_greeting()

    def ask(self, caller: Caller) -> None:
        caller.say(self.question)
        caller.expect(self.answer)

    def meet(self, caller: Caller) -> None:
        caller.ring()
        self.greet(caller)
        self.ask(caller)


SERVICES = {
    "hotline": Service(
        question=b"0\n",
        answer=b"0000\n",
        habits=(talker, resetter, resetter, half_closer, newcomer),
        newcomer=newcomer,
        greets=True,
    ),
    "echo": Service(
        question=b"hey",
        answer=b"hey",
        habits=(echo_talker, echo_resetter, echo_resetter, echo_talker),
        newcomer=echo_talker,
        greets=False,
    ),
}


@dataclass(frozen=True)
class Fate:
    """How it went for one caller: "served", "dropped", "left hanging" or "told wrong things"."""

    who: str
    how: str
    why: str = ""

    def __str__(self) -> str:
        return f"the {self.who} was {self.how}" + (f": {self.why}" if self.why else "")


def fate_of(who: str, conversation: Callable[[], None]) -> Fate:
    try:
        conversation()
    except Dropped as error:
        return Fate(who, "dropped", str(error))
    except LeftHanging as error:
        return Fate(who, "left hanging", str(error))
    except WrongAnswer as error:
        return Fate(who, "told wrong things", str(error))
    return Fate(who, "served")
