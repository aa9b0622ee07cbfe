"""What the eleven callers with a bad habit share: their options, their bounds, and the verdict."""

from __future__ import annotations

import argparse
import ipaddress
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from talk import Caller as Caller
from talk import NotReached as NotReached
from talk import TalkError as TalkError
from talk import WasReset, addresses_of
from talk import caller_for as caller_for
from talk import checksum_of_pattern as checksum_of_pattern
from talk import Parser, quoted, run, seconds, who_calls, whole_number, whom_to_call
from talk import show as show

LONGEST = 600  # seconds


class Wrong(TalkError):
    """The server did what a right one does not."""


def live(habit: Callable[[argparse.Namespace], str], doc: str, **defaults: float) -> NoReturn:
    """Reads the options, follows the habit, and says in one sentence what it saw. `defaults` are
    the bounds that this caller has: seconds, bytes, count, idle_timeout."""

    def main() -> int:
        options = parse(doc, defaults)
        name = Path(sys.argv[0]).stem
        if options.name == "caller":
            options.name = name
        try:
            print(f"right: {habit(options)}", flush=True)
            return 0
        except NotReached:
            raise
        except TalkError as error:
            print(f"wrong: {error}", flush=True)
            return 1

    run(main)


def parse(doc: str, defaults: dict[str, float]) -> argparse.Namespace:
    parser = Parser(doc, whom_to_call(), who_calls())
    bounds = parser.add_argument_group("bounds")
    what: dict[str, tuple[Callable[[str], float], int, str]] = {
        "seconds": (short_time, LONGEST, "for how long"),
        "bytes": (whole_number(1, 1_000_000_000), 1_000_000_000, "how much"),
        "count": (whole_number(1, 20_000), 20_000, "how many, or how often"),
    }
    for name, default in defaults.items():
        if name != "idle_timeout":
            kind, most, help = what[name]
            bounds.add_argument(
                f"--{name}",
                type=kind,
                default=default,
                help=f"{help} (%(default)s; at most {most:,})",
            )
    if "idle_timeout" in defaults:
        bounds.add_argument(
            "--idle-timeout",
            type=seconds,
            metavar="SECONDS",
            help="the server runs with this --idle-timeout: we are right to expect that it drops us",
        )
    options = parser.parse_args()
    try:
        for address in addresses_of(options.host, options.port):
            if not is_near(str(address.where[0])):
                parser.error(
                    f"{address} is not this machine, nor a private network: we do not call it"
                )
    except NotReached as error:
        parser.error(str(error))
    return options


def short_time(text: str) -> float:
    if (value := seconds(text)) > LONGEST:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is over {LONGEST} seconds")
    return value


def is_near(address: str) -> bool:
    """These callers are for your own machine and your own network: no other is called."""
    known = ipaddress.ip_address(address)
    known = getattr(known, "ipv4_mapped", None) or known  # ::ffff:8.8.8.8 is 8.8.8.8
    return known.is_loopback or known.is_private


# What a caller looks for


def calls(options: argparse.Namespace, receive_buffer: int | None = None) -> Iterator[Caller]:
    """One call after another. A server that was there for the first is there for all."""
    for number in range(1, options.count + 1):
        try:
            with caller_for(options, receive_buffer) as caller:
                yield caller
        except (NotReached, WasReset) as error:
            if number == 1:
                raise
            raise Wrong(f"call {number} of {options.count} failed: {error}") from None


def greeted(caller: Caller) -> Caller:
    """The caller, once the server has taken the call."""
    heard = caller.receive_line()
    if not heard.startswith(b"Welcome to "):
        raise Wrong(f"the greeting should be `Welcome to ...`, but it is `{show(heard[:60])}`")
    return caller


def answers(caller: Caller, *expected: bytes) -> None:
    """The server says these lines, one after another."""
    for number, line in enumerate(expected, 1):
        heard = caller.receive_line()
        if heard != line:
            raise Wrong(
                f"answer {number} of {len(expected)} should be `{show(line[:60])}`, "
                f"but it is `{show(heard[:60])}`"
            )


def next_caller(options: argparse.Namespace) -> str:
    """Nobody else is harmed: somebody calls after us, and all is as it should be."""
    start = time.monotonic()
    polite = Caller(options.host, options.port, bind=options.bind, timeout=options.timeout)
    try:
        with polite:
            greeted(polite)
            polite.send(b"0\nexit\n")
            answers(polite, b"0000")
            polite.receive_end()
    except TalkError as error:
        raise Wrong(f"the next caller was not served: {error}") from None
    took = time.monotonic() - start
    return f"the next caller was served {'at once' if took < 0.15 else f'after {took:.1f} s'}"


def is_dropped(caller: Caller, options: argparse.Namespace, deed: str) -> str:
    """With --idle-timeout: the server hangs up on us in time, and not before it."""
    idle: float = options.idle_timeout
    if not caller.readable(idle + options.timeout):
        raise Wrong(
            f"{deed}, and the server still holds the line after {idle} + "
            f"{options.timeout:g} s: its --idle-timeout does not bind us"
        )
    try:
        caller.receive_end()
    except WasReset:
        pass  # we have said something that it did not read any more
    took = time.monotonic() - caller.called
    if took < idle:
        raise Wrong(f"{deed}, and the server dropped us after {took:.1f} s, before {idle:g} s")
    return f"{deed}; the server dropped us after {took:.1f} s"
