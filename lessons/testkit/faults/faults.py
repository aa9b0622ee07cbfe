#!/usr/bin/env python3
"""Plays the fault table: every system call of a server fails in every way, and callers look on."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from callers import Unexpected
from server import Server, why_not_traced
from soak import soak
from table import COLUMNS, Row, Scene, rows
from trial import Rehearsal, Stage, Trial, Verdict, play, rehearse

SKIPPED = 77  # Meson's word for it

# The echo service has the same server around it: the first occurrence of what touches its bytes.
TRIED_WITH_ECHO = {"recv", "send", "close", "short"}


def every_trial(table: Sequence[Row]) -> Iterator[Trial]:
    for row in table:
        for call in row.calls:
            for fault in row.faults:
                for occurrence in row.occurrences:
                    yield Trial(row, call, fault, occurrence, "hotline")
                    if row.group in TRIED_WITH_ECHO and occurrence == row.occurrences[0]:
                        yield Trial(row, call, fault, occurrence, "echo")


def matches(name: str, pattern: str) -> bool:
    """accept:EMFILE matches accept:accept4:EMFILE:2:hotline: its words come in this order."""
    words = iter(name.split(":"))
    return all(word in words for word in pattern.split(":"))


def first_of_each_row(trials: Sequence[Trial]) -> list[Trial]:
    first: dict[int, Trial] = {}
    for trial in trials:
        first.setdefault(id(trial.row), trial)
    return list(first.values())


class Report:
    """Counts, and says of each group how it went once its last trial is over."""

    def __init__(self, trials: Sequence[Trial], unused: Sequence[Trial]) -> None:
        self._left = Counter(trial.row.group for trial in trials)
        self._good: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._unreached: Counter[str] = Counter()
        self._unused = Counter(trial.row.group for trial in unused)
        self._groups = dict.fromkeys(trial.row.group for trial in [*trials, *unused])

    def add(self, trial: Trial, verdict: Verdict) -> None:
        group = trial.row.group
        self._left[group] -= 1
        if verdict.complaints:
            self._bad[group] += 1
            print(f"BAD {trial.name} (expected: {trial.row.answer})")
            print(*(f"      {complaint}" for complaint in verdict.complaints), sep="\n", flush=True)
        elif verdict.fired:
            self._good[group] += 1
        else:
            self._unreached[group] += 1
        if not self._left[group]:
            print(self._line(group), flush=True)

    def _line(self, group: str) -> str:
        good, bad = self._good[group], self._bad[group]
        unused = self._unused[group] + self._unreached[group]
        return f"{group:10}{good:6}{bad:6}{unused:10}"

    def summary(self, seconds: float) -> str:
        heading = f"{'':10}{'good':>6}{'bad':>6}{'not used':>10}"
        lines = [heading, *map(self._line, self._groups)]
        good, bad = self._good.total(), self._bad.total()
        unused = self._unused.total() + self._unreached.total()
        return "\n".join(lines) + (
            f"\n\n{good + bad} faults played in {seconds:.0f} s: {good} answered well, {bad} badly."
            f" {unused} more are of calls that this server does not make (so often)."
        )

    @property
    def bad(self) -> int:
        return self._bad.total()


def play_all(trials: Sequence[Trial], stage: Stage, jobs: int, report: Report) -> None:
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(play, trial, stage): trial for trial in trials}
        try:
            for future in as_completed(running):
                report.add(running[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for server in list(Server.alive):
                server.kill()  # Its trial is over at once.
            raise


def options_from(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 all answered well, 1 not all, 2 wrong options, 77 we may not trace.",
    )
    parser.add_argument("--column", choices=COLUMNS, required=True, help="the lesson's number")
    parser.add_argument(
        "--preload", metavar="PATH", type=Path, help="the library built of shim.cpp"
    )
    parser.add_argument(
        "--only",
        metavar="FAULT",
        action="append",
        help="such as accept:EMFILE, recv, EINTR:2, echo; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="name the faults, and play none")
    parser.add_argument("--quick", action="store_true", help="one fault of each row of the table")
    parser.add_argument(
        "--soak",
        metavar="CALLERS",
        type=int,
        help="no faults: so many callers, one after another, cost no memory and no descriptor",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        default=2 * (os.cpu_count() or 1),
        help="faults played at the same time (default: %(default)s; they mostly wait)",
    )
    parser.add_argument("server", nargs="+", metavar="SERVER", help="the program, after --")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs takes a number from 1 on")
    return options


def run_soak(options: argparse.Namespace) -> int:
    bad = 0
    for service in ("hotline", "echo"):
        complaints = soak(options.server, service, options.soak)
        bad += len(complaints)
        for complaint in complaints:
            print(f"BAD {service}: {complaint}")
        print(f"{service}: {options.soak} callers, {len(complaints)} complaints", flush=True)
    return 1 if bad else 0


def run_table(options: argparse.Namespace) -> int:
    start = time.monotonic()
    stage = Stage(options.server, COLUMNS[options.column], options.preload)
    table = rows(stage.column)
    chosen = [
        trial
        for trial in every_trial(table)
        if not options.only or any(matches(trial.name, pattern) for pattern in options.only)
    ]
    if not chosen:
        print(f"no fault is called {' or '.join(options.only)}: --list names all", file=sys.stderr)
        return 2

    refused = why_not_traced()
    if refused:
        chosen = [trial for trial in chosen if trial.row.scene is Scene.PRELOAD]
    if stage.preload is None:
        chosen = [trial for trial in chosen if trial.row.scene is not Scene.PRELOAD]
    rehearsals: dict[str, Rehearsal] = {}
    if not refused:
        for service in sorted({trial.service for trial in chosen}):
            rehearsals[service] = rehearse(stage, service, table)
    used = [t for t in chosen if t.row.scene is Scene.PRELOAD or rehearsals[t.service].reaches(t)]
    unused = [trial for trial in chosen if trial not in used]
    if options.quick:
        used = first_of_each_row(used)
    if options.list:
        print(*(f"{trial.name}  {trial.row.answer}" for trial in used), sep="\n")
        return 0

    report = Report(used, unused)
    play_all(used, stage, options.jobs, report)
    print("\n" + report.summary(time.monotonic() - start))
    if stage.preload is None:
        print("Short reads and writes and failing memory were left out: they need --preload.")
    if refused:
        print(f"Only the preload was played: {refused}")
    if report.bad:
        return 1
    return SKIPPED if refused else 0


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = options_from(arguments)
    try:
        return run_soak(options) if options.soak else run_table(options)
    except Unexpected as error:
        print(f"without any fault: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'faults'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
