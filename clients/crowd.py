"""A crowd of callers in one thread: the loop of lesson 05's client, and the lines that it calls.

The loop sleeps in one place, in `selectors`, until somebody can be heard or deadlines are due. What
it calls then never waits. So a server that is slow with one caller is slow with one caller here.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from callers import A_CROWD, Voice
from conversation import LATE, amount_of, is_said_by_others
from talk import Caller, Failure, NotReached, show

KNOCKING = 1000  # callers at most who are not greeted yet: the kernel's queue is not endless
TICK = 0.1  # seconds between two looks at the deadlines


@dataclass
class Answer:
    """What somebody asked, and how long the answer took. A nap that they asked for is no wait."""

    name: str
    question: bytes
    asked: float
    heard: float

    @property
    def wait(self) -> float:
        return self.heard - self.asked - (amount_of(b"sleep", self.question) or 0) / 1000


class Line:
    """One caller. Nothing here waits: the loop calls when something has happened, and what we must
    remember until then stands in the object."""

    def __init__(self, crowd: Crowd, name: str, script: list[bytes]) -> None:
        self.crowd = crowd
        self.name = name
        self.script = deque(script)
        self.voice = Voice(name, crowd.start, silent=crowd.is_large)
        self.untried = deque(crowd.caller.addresses())
        self.failures: list[Failure] = []
        self.socket = self.next_socket()
        self.connected = self.greeted = self.leaving = self.over = False
        self.since = self.called = time.monotonic()  # when we began to wait for what comes next
        self.question: bytes | None = None
        self.answers: list[Answer] = []
        self.heard_so_far = bytearray()
        self.unsaid = b""
        self.failure = ""

    def next_socket(self) -> socket.socket:
        """A socket for the next of the server's addresses, and there may be none for it: a kernel
        without IPv6 has addresses of it all the same."""
        while self.untried:
            self.address = self.untried.popleft()
            try:
                found = socket.socket(self.address.family, socket.SOCK_STREAM)
                found.setblocking(False)
                return found
            except OSError as error:
                self.failures.append(Failure(self.address, error))
        raise NotReached(self.crowd.caller.why_not_reached(self.failures))

    # What the loop calls.

    def call(self) -> None:
        """The call is under way. When there is room to write, it has come through, or it has not."""
        if (error := self.socket.connect_ex(self.address.where)) not in (0, errno.EINPROGRESS):
            raise OSError(error, os.strerror(error))

    def connection_made(self) -> None:
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        self.connected = True

    def data_received(self, data: bytes) -> None:
        """Some bytes: half a line, or ten."""
        *lines, self.heard_so_far = (self.heard_so_far + data).split(b"\n")
        for line in lines:
            self.line_received(bytes(line.removesuffix(b"\r")))

    def line_received(self, line: bytes) -> None:
        now = time.monotonic()
        if is_said_by_others(line, self.question or b""):
            self.voice.heard(show(line))
            return
        self.voice.heard(show(line), since=self.since)
        if not self.greeted:
            self.greeted = True
            self.crowd.somebody_is_greeted(self, now)
        elif self.question is not None:
            self.answers.append(Answer(self.name, self.question, self.since, now))
            self.question = None
        self.go_on()

    def connection_lost(self) -> None:
        if not self.greeted:
            self.fail("the server hung up without a greeting: has it no room for so many?")
        elif self.question == b"crash":
            self.end("the server hung up: whoever served us has died")
        elif self.question is not None and self.question.lower() != b"exit":
            self.fail(f"the server hung up before it had answered `{show(self.question)}`")
        elif self.question is None and not self.leaving:
            self.fail("the server hung up, and nobody had said goodbye")
        else:
            self.end("the server hung up")

    # What we do then.

    def go_on(self) -> None:
        """Says the next line, if it is time for it. Who has none left says no more, and listens."""
        if not self.crowd.has_begun or not self.greeted or self.question is not None or self.over:
            return
        self.since = time.monotonic()
        if self.script:
            self.question = self.script.popleft()
            self.voice.said(show(self.question))
            self.unsaid = self.question + b"\n"
            self.speak()
        elif not self.leaving:
            self.leaving = True
            self.socket.shutdown(socket.SHUT_WR)

    def speak(self) -> None:
        self.unsaid = self.unsaid[self.socket.send(self.unsaid) :]

    def wants(self) -> int:
        """What the loop is to watch. A socket with room in it is always ready to be written to, so
        we ask about that only when we have something to say."""
        if self.unsaid or not self.connected:
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        return selectors.EVENT_READ

    def ready(self) -> None:
        """It is a hint: a call that would sleep says so (BlockingIOError), as no socket blocks."""
        if not self.connected:
            self.connection_made()
        if self.unsaid:
            self.speak()
        if data := self.socket.recv(65536):
            self.data_received(data)
        else:
            self.connection_lost()

    def try_to(self, do: Callable[[], None]) -> None:
        try:
            do()
        except BlockingIOError:
            pass
        except OSError as error:
            if self.connected:
                self.fail(self.why(error))
            else:
                self.not_reached(error)

    def not_reached(self, error: OSError) -> None:
        """This address does not work. Is there another one?"""
        self.failures.append(Failure(self.address, error))
        try:
            while True:
                self.replace_socket()
                try:
                    return self.call()
                except OSError as next_error:
                    self.failures.append(Failure(self.address, next_error))
        except NotReached as failure:
            self.fail(str(failure))

    def replace_socket(self) -> None:
        before, self.socket = self.socket, self.next_socket()
        self.crowd.selector.unregister(before)
        before.close()
        self.crowd.selector.register(self.socket, self.wants(), self)
        self.since = time.monotonic()

    def why(self, error: OSError) -> str:
        if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            return "the server reset the connection: it died, or closed without reading all we sent"
        return f"the line broke: {error.strerror}"

    def look_at_clock(self, now: float) -> None:
        nap = amount_of(b"sleep", self.question or b"") or 0
        patience = self.crowd.caller.timeout + nap / 1000
        if not self.connected:
            if now >= self.since + self.crowd.caller.time_for_each():
                self.not_reached(TimeoutError())
        elif now < self.since + patience:
            pass
        elif not self.greeted:
            self.fail(f"no greeting within {patience:g} s: is the server busy with somebody else?")
        elif self.question is not None:
            self.fail(f"no answer to `{show(self.question)}` within {patience:g} s")
        elif self.leaving:
            self.fail(f"we said no more, but the server did not hang up within {patience:g} s")

    def fail(self, why: str) -> None:
        self.failure = why
        self.leave()

    def end(self, words: str) -> None:
        self.voice.notice(words)
        self.leave()

    def leave(self) -> None:
        self.over = True
        self.crowd.somebody_leaves(self)


class Crowd:
    """All the lines, and the loop that calls them."""

    def __init__(self, caller: Caller, scripts: Iterable[tuple[str, list[bytes]]]) -> None:
        """Whom to call, who calls, and what each will say."""
        self.caller = caller
        self.to_call = deque(scripts)
        self.is_large = len(self.to_call) > A_CROWD
        self.start = time.monotonic()
        self.selector = selectors.DefaultSelector()
        self.lines: list[Line] = []
        self.knocking = 0  # called, and not greeted yet
        self.here = self.most_here = 0  # on the line
        self.slowest_greeting = 0.0
        self.has_begun = False  # all are there; they may speak
        self.last_news = self.start

    def run(self) -> None:
        """Returns when all have left. One turn: call, sleep until somebody is ready, call back."""
        try:
            next_look = 0.0
            while self.to_call or self.selector.get_map():
                self.call_some()
                for key, _ in self.selector.select(TICK):
                    self.attend(key.data, key.data.ready)
                if (now := time.monotonic()) >= next_look:
                    next_look = now + TICK
                    for key in list(self.selector.get_map().values()):
                        key.data.look_at_clock(now)
                if not self.has_begun and (self.is_complete() or now > self.last_news + LATE):
                    self.begin()
        finally:
            for line in self.lines:
                line.socket.close()
            self.selector.close()

    def call_some(self) -> None:
        while self.to_call and self.knocking < KNOCKING:
            line = Line(self, *self.to_call.popleft())
            self.lines.append(line)
            self.knocking += 1
            self.selector.register(line.socket, line.wants(), line)
            self.attend(line, line.call)

    def attend(self, line: Line, do: Callable[[], None]) -> None:
        if line.over:
            return
        wanted = line.wants()
        line.try_to(do)
        if not line.over and line.wants() != wanted:
            self.selector.modify(line.socket, line.wants(), line)

    def is_complete(self) -> bool:
        return not self.to_call and self.knocking == 0

    def begin(self) -> None:
        """All may speak now. Who is greeted later speaks then: some servers have no room for all."""
        self.has_begun = True
        for line in self.lines:
            self.attend(line, line.go_on)

    def somebody_is_greeted(self, line: Line, now: float) -> None:
        self.last_news = now
        self.knocking -= 1
        self.here += 1
        self.most_here = max(self.most_here, self.here)
        self.slowest_greeting = max(self.slowest_greeting, now - line.called)

    def somebody_leaves(self, line: Line) -> None:
        if line.greeted:
            self.here -= 1
        else:
            self.knocking -= 1
        self.selector.unregister(line.socket)
        line.socket.close()
