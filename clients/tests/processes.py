"""Runs a client as a student would, but never for longer than a minute."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
DEADLINE = 60.0  # seconds; what ends by itself ends long before, also on a busy machine

Finished = subprocess.CompletedProcess[str]


def command(script: str, *options: object) -> list[str]:
    return [sys.executable, str(CLIENTS / script), *map(str, options)]


def run(script: str, *options: object, said: str = "") -> Finished:
    return subprocess.run(
        command(script, *options),
        input=said,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=DEADLINE,
    )


def start(script: str, *options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(script, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(client: subprocess.Popen[str], text: str) -> None:
    """Reads what the client shows until this comes; the client's own deadline ends the wait."""
    assert client.stdout is not None
    shown = ""
    while text not in shown:
        line = client.stdout.readline()
        if not line:
            raise AssertionError(f"{text!r} never came; shown was {shown!r}")
        shown += line


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
