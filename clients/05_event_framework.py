#!/usr/bin/env python3
"""Call the server of lesson 05 with a hundred callers at once, and all of them in one thread.

This client is an event loop, too. It sleeps in one place, where `selectors` tells it who can be
heard; then it calls whom that concerns. So it is never we who let one caller wait for another.

All callers come before the first one speaks. The first ten (--sleepers) make their handlers sleep.
Then each says the lines of --say, the next one when the one before is answered. You see how many
were on the line at once, how many were answered while handlers slept, and the slowest answer. Up to
ten callers are shown line by line. Try it with the servers of other lessons, too.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys

from callers import A_CROWD, names, table
from conversation import amount_of, span
from crowd import Crowd
from talk import Caller, Parser, TalkError, quoted, run, show, whole_number, whom_to_call

LINES = ["0", "echo hello", "count"]
MOST = 10_000  # callers


def scripts(options: argparse.Namespace) -> list[tuple[str, list[bytes]]]:
    """Who is there, and what they will say."""
    lines = [os.fsencode(line) for line in options.say or LINES]
    nap = [b"sleep %d" % options.sleep]
    return [
        (name, nap + lines if number < options.sleepers else lines)
        for number, name in enumerate(names(options.callers))
    ]


# What there was to see.


def report(crowd: Crowd, options: argparse.Namespace) -> str:
    sleepers, awake = crowd.lines[: options.sleepers], crowd.lines[options.sleepers :]
    answers = sorted((a for line in awake for a in line.answers), key=lambda a: a.wait)
    rows = [
        ["callers", f"{len(crowd.lines):,}, in one thread"],
        ["on the line at once", f"{crowd.most_here:,}"],
        ["slowest greeting", span(crowd.slowest_greeting)],
    ]
    words = ""
    naps = [line.answers[0] for line in sleepers if line.answers]
    if naps:
        rows.append(["handlers that slept", f"{len(naps)}, for {options.sleep} ms each"])
    if naps and awake:
        # A server that can serve others meanwhile has long done so when the first one wakes up. The
        # first answers say little: one look around may find all there, and those awake come first.
        woke = min(nap.heard for nap in naps)
        late = sum(not line.answers or line.answers[-1].heard > woke for line in awake)
        rows.append(["answered meanwhile", f"{len(awake) - late:,} of the {len(awake):,} others"])
        words = "\n\nNobody waited for a handler that slept."
        if late:
            words = f"\n\n{late:,} of the others waited until a handler woke up."
    if answers:
        half, last = statistics.median(a.wait for a in answers), answers[-1]
        rows.append(["answers to those awake", f"{len(answers):,}, half of them in {span(half)}"])
        rows.append(["the slowest", f"{span(last.wait)}, to {last.name}: {show(last.question)}"])
    return table(rows) + words


def tell_failures(crowd: Crowd) -> int:
    failed = [line for line in crowd.lines if line.failure]
    for line in failed[:A_CROWD]:
        print(f"{line.name}: {line.failure}", file=sys.stderr)
    if len(failed) > A_CROWD:
        print(f"and {len(failed) - A_CROWD:,} more", file=sys.stderr)
    return 1 if failed else 0


# The options.


def one_answer(text: str) -> str:
    if amount_of(b"big", os.fsencode(text)) is not None or text.startswith("sink "):
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} takes more than a line; lesson 01's client says it"
        )
    return text


def make_room(callers: int) -> None:
    """Each caller is a descriptor. The soft limit is ours to raise, up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = callers + 50
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TalkError(f"{callers} callers need {wanted} descriptors, and there are {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    parser = Parser(__doc__, whom_to_call())
    parser.add_argument(
        "--callers",
        type=whole_number(1, MOST),
        default=100,
        metavar="N",
        help="so many at once (%(default)s)",
    )
    parser.add_argument(
        "--sleepers",
        type=whole_number(0, MOST),
        default=10,
        metavar="N",
        help="so many of them make their handlers sleep first (%(default)s)",
    )
    parser.add_argument(
        "--sleep",
        type=whole_number(0, 60_000),
        default=500,
        metavar="MS",
        help="for so many milliseconds (%(default)s)",
    )
    parser.add_argument(
        "--say",
        nargs="+",
        action="extend",
        type=one_answer,
        metavar="LINE",
        help=f"what each says (default: {' '.join(map(repr, LINES))})",
    )
    options = parser.parse_args()
    make_room(options.callers)
    crowd = Crowd(Caller(options.host, options.port, timeout=options.timeout), scripts(options))
    crowd.run()
    if not any(line.connected for line in crowd.lines):
        raise TalkError(crowd.lines[0].failure)
    print(("" if crowd.is_large else "\n") + report(crowd, options), flush=True)
    return tell_failures(crowd)


if __name__ == "__main__":
    run(main)
