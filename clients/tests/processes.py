"""Runs a client as a student would, but never for longer than only a client that hangs would take."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

CLIENTS = Path(__file__).resolve().parent.parent

FAST_START = 0.02  # seconds: Python starts and ends, on a fast machine with nothing else to do
FAST_NAP = 0.0013  # seconds: there, a nap of a millisecond takes about so long
SLOWEST = 8.0  # times slower is what we wait for; the times below have room for a slower one

# Each client that can talk to a hotline, and options for a short conversation.
CONVERSATIONS: dict[str, list[str]] = {
    "01_blocking_socket.py": ["--say", "0", "exit"],
    "02_select.py": ["--callers", "2", "--say", "0"],
    "03_thread_per_client.py": ["--callers", "2"],
    "04_fork_per_client.py": ["--callers", "2", "--no-crash"],
    "05_event_framework.py": ["--callers", "20", "--sleepers", "0"],
    "scenes.py": ["silent_first", "--json"],
    "socketserver/greet.py": [],
    "hostile/descriptor_eater.py": ["--count", "5", "--seconds", "0.1"],
    "hostile/drip.py": ["--seconds", "0.1"],
    "hostile/flooder.py": ["--bytes", "100000"],
    "hostile/half_closer.py": [],
    "hostile/idler.py": ["--seconds", "0.1"],
    "hostile/long_line.py": [],
    "hostile/never_reader.py": ["--seconds", "0.1", "--bytes", "1000000"],
    "hostile/resetter.py": ["--count", "2", "--bytes", "1000000"],
    "hostile/slow_reader.py": ["--seconds", "0.1", "--bytes", "100000"],
    "hostile/three_in_one.py": [],
    "hostile/vanisher.py": ["--count", "2"],
}

Finished = subprocess.CompletedProcess[str]
Case = TypeVar("Case")
Result = TypeVar("Result")


@functools.cache
def timeout_scale() -> float:
    """How many times slower than a fast machine this one is, with all that runs beside us; at least
    1. Measured once, when it is first needed; NETSTEPS_PATIENCE multiplies it."""
    start = time.monotonic()
    for _ in range(5):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    started = time.monotonic()
    for _ in range(50):
        time.sleep(0.001)  # A measurement: how late does this machine wake us?
    woken = time.monotonic()
    slower = max((started - start) / 5 / FAST_START, (woken - started) / 50 / FAST_NAP)
    return min(max(slower, 1.0), SLOWEST) * float(os.environ.get("NETSTEPS_PATIENCE") or 1)


def scaled(seconds: float) -> float:
    """A time in which a fast machine does this easily, and this machine, too."""
    return round(seconds * timeout_scale(), 1)


DEADLINE = scaled(60)  # seconds; what ends by itself ends long before
ENOUGH = 40.0  # seconds for the many cases of one test; what is not begun by then is left out

# The clients wait longer on a slow machine, too: for a word, and before they call it a wait.
os.environ["NETSTEPS_PATIENCE"] = f"{timeout_scale():.2f}"


def command(script: str, *options: object) -> list[str]:
    return [sys.executable, str(CLIENTS / script), *map(str, options)]


def run(script: str, *options: object, said: str = "", **more: str) -> Finished:
    """`more` is for the environment."""
    return subprocess.run(
        command(script, *options),
        input=said,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=DEADLINE,
        env={**os.environ, **more},
    )


def start(script: str, *options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(script, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(
    visit: Callable[[Case], Result], cases: Iterable[Case], at_once: int = 4
) -> list[tuple[Case, Result]]:
    """Most of a visit is waiting, so several go on at once. On a machine where they take very long
    some are left out, and it is said how many."""
    cases, start = list(cases), time.monotonic()

    def in_time(case: Case) -> list[Result]:
        return [visit(case)] if time.monotonic() < start + ENOUGH else []

    with ThreadPoolExecutor(at_once) as pool:
        results = list(zip(cases, pool.map(in_time, cases)))
    done = [(case, result) for case, results_of_it in results for result in results_of_it]
    if len(done) < len(cases):
        print(f"{len(done)} of {len(cases)} cases were tried in {ENOUGH:g} s", file=sys.stderr)
    return done


def wait_for(client: subprocess.Popen[str], text: str) -> str:
    """Reads what the client shows until this comes; the client's own deadline ends the wait."""
    assert client.stdout is not None
    shown = ""
    while text not in shown:
        line = client.stdout.readline()
        if not line:
            raise AssertionError(f"{text!r} never came; shown was {shown!r}")
        shown += line
    return shown


@contextlib.contextmanager
def lesson_server(test: unittest.TestCase, *options: str) -> Iterator[int]:
    """The real server of lesson 01: its port. Meson says in SERVER_01 where the program is."""
    program = os.environ.get("SERVER_01", "")
    if not Path(program).is_file():
        test.skipTest("SERVER_01 names no server")
    with serving([program, *options]) as port:
        yield port


def servers_of(lesson: str) -> list[list[str]]:
    """The commands of a lesson's twin, and of its server where Meson says where that is."""
    twin = next((CLIENTS.parent / "lessons").glob(f"{lesson}-*/twin.py"))
    program = os.environ.get(f"SERVER_{lesson}", "")
    return [[sys.executable, str(twin)], *([[program]] if Path(program).is_file() else [])]


@contextlib.contextmanager
def serving(command: list[str]) -> Iterator[int]:
    """Runs a server; its port."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline().rpartition(b":")[2])
        finally:
            server.terminate()  # not killed: one that has children sends them home
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(DEADLINE)
            server.kill()  # without effect, unless it would never end
