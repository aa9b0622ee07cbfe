"""Several callers at once, from one process: what the clients of lessons 02, 03 and 04 share.

One loop looks after them all. It sleeps in select() until somebody hears something, as the server
of lesson 02 does at the other end; so it is never we who let one wait for another.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from conversation import LATE, Conversation
from talk import Caller, Parser, TalkError, display, whole_number, whom_to_call
from timeline import Event

MOST = 500  # callers; select() cannot watch more than 1,024 descriptors
A_CROWD = 10  # callers; what more of them say is not shown line by line


class Voice:
    """One caller's lines on the screen that all of them share: when, who, what."""

    def __init__(self, name: str, start: float, silent: bool) -> None:
        self._name, self._start, self._silent = name, start, silent

    def said(self, text: str) -> None:
        self._show(">", text)

    def heard(self, text: str, since: float | None = None) -> None:
        self._show("<", text)

    def notice(self, text: str) -> None:
        self._show("-", text)

    def _show(self, sign: str, text: str) -> None:
        if not self._silent:
            display(f"{time.monotonic() - self._start:7.3f} {self._name} {sign} {text}")


class Company:
    """All the callers. They come together; each leaves when told to, or when the server hangs up.

    What becomes of one is no reason for the others to stop: `failures` says it in a sentence.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.failures: dict[str, str] = {}
        self.talks: dict[str, Conversation] = {}
        self._lines: dict[str, list[bytes]] = {}  # what each has still to say
        self._log = io.StringIO()
        self._calls = contextlib.ExitStack()
        self._options = options

    def __enter__(self) -> Company:
        silent = self._options.callers > A_CROWD
        start = time.monotonic()
        try:
            for name in names(self._options.callers):
                caller = self._calls.enter_context(self._caller(name))
                self.talks[name] = Conversation(caller, Voice(name, start, silent))
                self._lines[name] = []
        except BaseException:
            self._calls.close()
            raise
        self._hear_until(lambda: all(talk.greeted or talk.over for talk in self.talks.values()))
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.close()

    def _caller(self, name: str) -> Caller:
        options = self._options
        return Caller(options.host, options.port, name=name, timeout=options.timeout, log=self._log)

    def ask(self, line: bytes, who: Iterable[str] | None = None) -> None:
        """Each says it as soon as all that they said before is answered."""
        for name in self.on_the_line() if who is None else who:
            self._lines[name].append(line)

    def on_the_line(self) -> list[str]:
        return [name for name, talk in self.talks.items() if not talk.over]

    def hear_all(self) -> None:
        """Returns when everybody has said all, and has heard the answers."""
        self._hear_until(lambda: not any(map(self._is_busy, self.on_the_line())), patient=True)

    def leave(self) -> None:
        for name in self.on_the_line():
            self._say_no_more(name)
        self.hear_all()

    def events(self) -> list[Event]:
        """What happened, for the timeline."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    # The loop

    def _is_busy(self, name: str) -> bool:
        return self.talks[name].waits() or bool(self._lines[name])

    def _hear_until(self, enough: Callable[[], bool], patient: bool = False) -> None:
        """Until it is enough. Who is not patient gives up when nothing has come for a while. Who is
        waits until the deadlines; but those with nothing to wait for leave then: perhaps the server
        has time for the others when they are gone."""
        while not enough():
            here = {self.talks[name].caller.line: name for name in self.on_the_line()}
            for name in here.values() if patient else ():
                self._speak(name)
            ready = select.select(list(here), [], [], LATE)[0]
            for line in ready:
                self._hear(here[line])
            if not ready and not patient:
                return
            for name in () if ready else self.on_the_line():
                if not self._is_busy(name):
                    self._say_no_more(name)
            for name in self.on_the_line():
                talk = self.talks[name]
                if talk.waits() and time.monotonic() > talk.deadline():
                    self._lose(name, talk.too_late())

    def _speak(self, name: str) -> None:
        talk, lines = self.talks[name], self._lines[name]
        while lines and not talk.waits() and not talk.over:
            with self._noting(name):
                talk.ask(lines.pop(0))

    def _hear(self, name: str) -> None:
        talk = self.talks[name]
        with self._noting(name):
            talk.hear()
            while not talk.over and talk.caller.readable(0):
                talk.hear()
        if talk.over:
            talk.caller.close()

    def _say_no_more(self, name: str) -> None:
        with self._noting(name):
            self.talks[name].say_no_more()

    @contextlib.contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except TalkError as error:
            self._lose(name, error)

    def _lose(self, name: str, error: TalkError) -> None:
        self.failures[name] = str(error)
        self.talks[name].over = True
        self.talks[name].caller.close()


def names(count: int) -> list[str]:
    """A to Z; then 27, 28 ..."""
    return [chr(ord("A") + i) if i < 26 else str(i + 1) for i in range(count)]


# Who serves whom


def table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def whose(company: Company, more: dict[str, str] | None = None) -> tuple[str, str]:
    """A table of who is served by whom, and what it shows in words. `more` is one more column: its
    title under the key "caller", then something to say of each."""
    titles = ["caller", "process", "thread", "count", *([more["caller"]] if more else [])]
    rows, served, numbers = [titles], [], []
    for name, talk in company.talks.items():
        found = re.match(r"pid (\d+) thread (.+) descriptor", talk.answers.get("who", ""))
        number = talk.answers.get("count", "-")
        rows.append([name, found[1] if found else "-", found[2] if found else "-", number])
        rows[-1] += [more.get(name, "-")] if more else []
        if found:
            served.append((found[1], found[2]))
            numbers.append(number)
    return table(rows), f"{servers(served)}\n{counting(numbers)}"


def servers(served: list[tuple[str, str]]) -> str:
    """Who serves, in words, from each caller's process and thread."""
    callers, processes, threads = len(served), len({pid for pid, _ in served}), len(set(served))
    if not callers:
        return "Nobody was told who serves them."
    if threads == 1:
        return f"The same process and the same thread: one thread serves all {callers}."
    if processes == 1 and threads == callers:
        return f"The same process, different threads: each of the {callers} has one of their own."
    if processes == callers:
        return f"Different processes: each of the {callers} has one of their own."
    return (
        f"{processes} processes with {threads} threads in all share the work of {callers} callers."
    )


def counting(numbers: list[str]) -> str:
    """Whether they count together, in words."""
    if len(set(numbers)) == len(numbers):
        return "No number was given twice: they count together."
    if len(set(numbers)) == 1:
        return f"Everybody is told {numbers[0]}: each counts alone, in memory of their own."
    return "A number was given twice: two of them counted at the same time, and one was lost."


# The options and the way out


def parser_for(doc: str | None) -> Parser:
    parser = Parser(doc, whom_to_call())
    parser.add_argument(
        "--callers",
        type=whole_number(2, MOST),
        default=5,
        metavar="N",
        help="so many at once (%(default)s)",
    )
    return parser


def tell_failures(company: Company) -> int:
    """What went wrong, a sentence for each caller; the exit code."""
    for name, sentence in sorted(company.failures.items()):
        print(f"{name}: {sentence}", file=sys.stderr)
    return 1 if company.failures else 0
