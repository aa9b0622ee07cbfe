#!/usr/bin/env python3
"""Talk to the server of lesson 01, line by line.

At a terminal you type and the server answers; `exit` or Ctrl-D leaves. In a script, --say or
standard input has the lines, and each is said when the one before is answered. Either way you see
what comes, and when.

The kernel connects us before the server knows of us. The greeting is the first sign that the
server itself has taken the call: until then we stand in the kernel's queue.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Iterator

from talk import PATTERN, Caller, HungUp, Parser, TalkError, WasReset
from talk import address_text, caller_for, leave, run, show, who_calls, whom_to_call

with contextlib.suppress(ImportError):
    import readline  # gives input() a history and arrow keys

LATE = 0.3  # seconds; a greeting that takes longer deserves a word
PROMPT, CLEAR = "> ", "\r\x1b[K"


def main() -> int:
    options = parse()
    at_terminal = not options.say and is_terminal()
    screen = Screen(at_terminal)
    with caller_for(options) as caller:
        talk = Conversation(caller, screen, greets=not options.no_greeting)
        hint = "; type a line, `exit` or Ctrl-D leaves" if at_terminal else f" from {caller.local}"
        screen.notice(f"connected to {address_text(options.host, options.port)}{hint}")
        talk.await_greeting(LATE if at_terminal else options.timeout)
        if at_terminal:
            type_and_hear(talk)
            if not talk.greeted:
                return 0  # nobody has taken our call, so there is no goodbye to wait for
        else:
            for line in lines_to_say(options.say) if options.say else lines_of_pipe(talk):
                talk.ask(line)
                talk.hear_all()
                if talk.over:
                    break
        talk.leave()
    return 0


def parse() -> argparse.Namespace:
    parser = Parser(__doc__, whom_to_call(), who_calls())
    parser.add_argument(
        "--say", nargs="+", action="extend", metavar="LINE", help="say these lines, one by one"
    )
    parser.add_argument(
        "--no-greeting", action="store_true", help="the server greets nobody (--service echo)"
    )
    return parser.parse_args()


def is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


class Screen:
    """Shows what is said and heard: at a terminal after how long, in a script when."""

    def __init__(self, at_terminal: bool) -> None:
        self._at_terminal = at_terminal
        self._start = time.monotonic()
        self.at_prompt = False

    def said(self, text: str) -> None:
        if not self._at_terminal:  # where it was typed, it can be read already
            self._show(">", text)

    def heard(self, text: str, since: float | None = None) -> None:
        after = f"   ({span(time.monotonic() - since)})" if self._at_terminal and since else ""
        self._show("<", text + after)

    def notice(self, text: str) -> None:
        self._show("-", text)

    def _show(self, sign: str, text: str) -> None:
        if not self._at_terminal:
            print(f"{time.monotonic() - self._start:7.3f} {sign} {text}", flush=True)
        elif not self.at_prompt:
            print(text, flush=True)
        else:
            # Somebody types: our line takes the place of theirs, and theirs comes again below.
            typed = readline.get_line_buffer() if "readline" in sys.modules else ""
            print(f"{CLEAR}{text}\n{PROMPT}{typed}", end="", flush=True)


class Conversation:
    """What has been asked, and what the answer to each question looks like."""

    def __init__(self, caller: Caller, screen: Screen, greets: bool) -> None:
        self.caller, self.screen = caller, screen
        self.greeted = not greets
        self.over = False
        self._start = time.monotonic()
        self._questions: deque[tuple[bytes, float]] = deque()  # and when each was asked
        self._sunk = 1  # the sum of what we gave to the last `sink`
        self._goodbye_said = False  # by whom of the two does not matter

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
                raise TalkError(
                    f"connected, but no greeting within {patience:g} s: the server has not "
                    "accepted us. Is it busy with somebody else? Try again, or a longer --timeout."
                )
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
        patience = self.patience()
        if not self.hear_in_time(patience):
            raise TalkError(
                f"no answer to `{show(self._questions[0][0])}` within {patience:g} s: is the server "
                "busy with somebody else, or does it wait for more from us?"
            )

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

    def leave(self) -> None:
        """We say no more; what the server still has to say we hear to the end."""
        if not self.over:
            self._goodbye_said = True
            self.caller.half_close()
        while not self.over:
            if not self.caller.readable(self.caller.timeout):
                raise TalkError(
                    "we said that we are done (half-close), but the server did not hang up within "
                    f"{self.caller.timeout:g} s"
                )
            self.hear()

    # What comes

    def _hear_line(self, line: bytes, asked: float | None) -> None:
        heard = self.caller.receive_line()
        if not self.greeted and heard.startswith(b"Welcome to "):
            self.greeted = True
            self.screen.heard(show(heard), since=self._start)
        elif asked is None or is_said_by_others(heard, line):
            self.screen.heard(show(heard))
        else:
            self._questions.popleft()
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


# Where the lines come from


def lines_to_say(words: list[str]) -> list[bytes]:
    return os.fsencode("\n".join(words)).split(b"\n")


def lines_of_pipe(talk: Conversation) -> Iterator[bytes]:
    """Each line of standard input as it comes; what the server says meanwhile is shown."""
    rest = b""
    while sys.stdin is not None and not talk.over:
        if talk.caller.readable(0):
            talk.hear()
        elif 0 in select.select([0, talk.caller.line], [], [])[0]:
            data = os.read(0, 65536)
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
            if not data:
                break
    if rest and not talk.over:
        yield rest


def type_and_hear(talk: Conversation) -> None:
    with contextlib.suppress(EOFError):
        while not talk.over:
            talk.ask(os.fsencode(typed_line(talk)))
            if not talk.hear_in_time(talk.patience() if talk.greeted else LATE):
                talk.screen.notice("no answer yet; it is shown when it comes")


def typed_line(talk: Conversation) -> str:
    try:
        with Ear(talk):
            return input(PROMPT)
    except (EOFError, KeyboardInterrupt):
        print()
        raise


class Ear:
    """A second thread that hears what the server says while the first one sits at the prompt."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._thread = threading.Thread(target=self._listen)
        self._enough, self._no_more = os.pipe()
        self._terminal = termios.tcgetattr(0)

    def __enter__(self) -> None:
        while self._talk.caller.readable(0) and not self._talk.over:
            self._talk.hear()
        self._talk.screen.at_prompt = True
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        os.close(self._no_more)
        self._thread.join()
        os.close(self._enough)
        self._talk.screen.at_prompt = False

    def _listen(self) -> None:
        code, sentence = 0, ""
        try:
            while not self._talk.over:
                if self._talk.caller.readable(0):
                    self._talk.hear()
                elif (
                    self._enough in select.select([self._enough, self._talk.caller.line], [], [])[0]
                ):
                    return
        except TalkError as error:
            code, sentence = 1, str(error)
        # The server has left, and nobody may ever press Enter: we leave in the other's stead.
        print(CLEAR, end="")
        termios.tcsetattr(0, termios.TCSADRAIN, self._terminal)
        leave(code, sentence)


if __name__ == "__main__":
    run(main)
