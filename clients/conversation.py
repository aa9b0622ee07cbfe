"""One conversation: what has been asked, and what the answer to each question looks like.

What is said and heard goes to a screen; it is the client that knows where that is.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections import deque
from typing import Protocol

from talk import PATTERN, Caller, HungUp, TalkError, WasReset, show, timeout_scale

LATE = 0.3 * timeout_scale()  # seconds; a greeting that takes longer deserves a word


class Screen(Protocol):
    def said(self, text: str) -> None:
        ...

    def heard(self, text: str, since: float | None = None) -> None:
        ...

    def notice(self, text: str) -> None:
        ...


class Conversation:
    """What one caller and the server say to each other. It may be led a question at a time (ask,
    hear_all), or by somebody who looks after several and calls `hear` when there is news."""

    def __init__(self, caller: Caller, screen: Screen, greets: bool = True) -> None:
        self.caller, self.screen = caller, screen
        self.greeted = not greets
        self.over = False
        self.answers: dict[str, str] = {}  # the last one to each question
        self.told: list[str] = []  # what others said
        self._start = time.monotonic()
        self._questions: deque[tuple[bytes, float]] = deque()  # and when each was asked
        self._sunk = 1  # the sum of what we gave to the last `sink`
        self._goodbye_said = False  # by whom of the two does not matter
        self._left = math.inf  # when we said that we say no more

    def await_greeting(self, patience: float) -> None:
        """At a terminal the patience is short: we go on, and the greeting is shown when it comes."""
        if self.greeted:
            return
        if not self.caller.readable(min(LATE, patience)):
            self.screen.notice(
                "connected; waiting for the greeting (the server has not accepted us yet?)"
            )
            self.caller.waits("the greeting")
            if patience <= LATE:
                return
            if not self.caller.readable(patience - LATE):
                raise self.too_late()
        self.hear()

    def ask(self, line: bytes) -> None:
        self.screen.said(show(line))
        self._questions.append((line, time.monotonic()))
        # If the server has left, then hear() finds out, and what it said before as well.
        with contextlib.suppress(WasReset):
            self.caller.send(line + b"\n")
            if amount := amount_of(b"sink", line):
                self._sunk = self.caller.send_pattern(amount)

    def hear_all(self) -> None:
        """Hears until nothing is open."""
        if not self.hear_in_time(self.patience()):
            raise self.too_late()

    def hear_in_time(self, patience: float) -> bool:
        """The same; False if the server says nothing for so long."""
        while self._questions and not self.over:
            if not self.caller.readable(patience):
                return False
            self.hear()
        return True

    def patience(self) -> float:
        asleep = amount_of(b"sleep", self._questions[0][0]) if self._questions else None
        return self.caller.timeout + (asleep or 0) / 1000

    def waits(self) -> bool:
        """Is it the server's turn to say something?"""
        is_open = not self.greeted or self._questions or self._left < math.inf
        return bool(is_open) and not self.over

    def deadline(self) -> float:
        """The moment by which it should have, on the clock that never jumps."""
        if not self.greeted:
            return self._start + self.caller.timeout
        return (self._questions[0][1] if self._questions else self._left) + self.patience()

    def too_late(self) -> TalkError:
        """What it should have said by now."""
        patience = f"{self.patience():g} s"
        if not self.greeted:
            return TalkError(
                f"connected, but no greeting within {patience}: the server has not "
                "accepted us. Is it busy with somebody else? Try again, or a longer --timeout."
            )
        if self._questions:
            return TalkError(
                f"no answer to `{show(self._questions[0][0])}` within {patience}: is the server "
                "busy with somebody else, or does it wait for more from us?"
            )
        return TalkError(
            "we said that we are done (half-close), but the server did not hang up within "
            f"{patience}"
        )

    def hear(self) -> None:
        """One thing that the server says: its greeting, an answer, a line unasked, its goodbye."""
        line, asked = self._questions[0] if self._questions else (b"", None)
        try:
            if self._starts_payload(line):
                self._hear_payload(amount_of(b"big", line) or 0, asked)
            else:
                self._hear_line(line, asked)
        except (HungUp, WasReset) as error:
            self._hear_goodbye(line, error)

    def say_no_more(self) -> None:
        if not self.over and not self._goodbye_said:
            self._goodbye_said = True
            self._left = time.monotonic()
            self.caller.half_close()

    def leave(self) -> None:
        """We say no more; what the server still has to say we hear to the end."""
        self.say_no_more()
        while not self.over:
            if not self.caller.readable(self.caller.timeout):
                raise self.too_late()
            self.hear()

    # What comes

    def _hear_line(self, line: bytes, asked: float | None) -> None:
        heard = self.caller.receive_line()
        if not self.greeted and heard.startswith(b"Welcome to "):
            self.greeted = True
            self.screen.heard(show(heard), since=self._start)
        elif asked is None or is_said_by_others(heard, line):
            self.told.append(show(heard))
            self.screen.heard(show(heard))
        else:
            self._questions.popleft()
            self.answers[show(line)] = show(heard)
            self.screen.heard(show(heard), since=asked)
            if heard == b"Line too long":
                self._goodbye_said = True
            if amount := amount_of(b"sink", line):
                self._compare(heard, b"sunk %d " % amount, self._sunk)
            if line.lower() == b"exit":
                self.leave()  # this server does not know the word; we go all the same

    def _starts_payload(self, line: bytes) -> bool:
        """Is what comes now the answer to `big`, and not a line that slips in before it?"""
        amount = amount_of(b"big", line)
        return amount is not None and self.caller.peek() == (PATTERN[:1] if amount else b"\n")

    def _hear_payload(self, amount: int, asked: float | None) -> None:
        checksum = self.caller.receive_checksum(amount)
        self.screen.heard(f"({amount:,} bytes, we count {checksum:08x})", since=asked)
        if ended := self.caller.receive_line():
            raise TalkError(
                f"after {amount} bytes the newline is due, but the server sent `{show(ended[:60])}`"
            )
        heard = self.caller.receive_line()
        self._questions.popleft()
        self.screen.heard(show(heard), since=asked)
        self._compare(heard, b"sum ", checksum)

    def _compare(self, heard: bytes, beginning: bytes, checksum: int) -> None:
        expected = beginning + b"%08x" % checksum
        if self.greeted and heard != expected:
            raise TalkError(
                f"the server says `{show(heard[:60])}`, but we count `{show(expected)}`: "
                "bytes were lost, doubled or changed on the way"
            )

    def _hear_goodbye(self, line: bytes, error: TalkError) -> None:
        self.over = True
        if line == b"crash":
            self.screen.notice("the server hung up: whoever served us has died")
        elif isinstance(error, WasReset):
            raise error
        elif line.lower() == b"exit" or (self._goodbye_said and not line):
            self.caller.receive_end()
            self.screen.notice("the server hung up")
        elif line:
            raise TalkError(f"the server hung up before it had answered `{show(line[:60])}`")
        else:
            raise TalkError(
                "the server hung up, and nobody had said goodbye: it has ended, or it drops "
                "callers who say nothing (--idle-timeout)"
            )


def amount_of(verb: bytes, line: bytes) -> int | None:
    """The number in a line such as `big 5000`, if it is one that the server takes."""
    found = re.fullmatch(verb + rb" 0*([0-9]{1,10})", line)
    most = 60_000 if verb == b"sleep" else 1_000_000_000
    return int(found[1]) if found and int(found[1]) <= most else None


def is_said_by_others(heard: bytes, line: bytes) -> bool:
    """`127.0.0.3:40123: hello` is what another caller says, unless we asked for these very words."""
    looks_so = re.match(rb"[0-9.]+:[0-9]+: ", heard) is not None
    return looks_so and heard.lower() not in line.lower()


def span(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
