"""Thousands of callers, one after another: what a server takes for each, it must give back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from callers import SERVICES, Caller
from server import Server, wait_until

MEMORY = 2 * 1024 * 1024  # bytes that it may grow by


def call(server: Server, service: str, callers: int) -> None:
    words = SERVICES[service]
    for habit in islice(cycle((words.newcomer, *words.habits[1:])), callers):
        with Caller(server.port) as caller:
            caller.ring()
            habit(caller)


def soak(command: Sequence[str], service: str, callers: int) -> list[str]:
    """What there is to complain about. Raises Unexpected where a caller is not served."""
    with TemporaryDirectory(prefix="faults-") as folder:
        with Server([*command, "--port", "0", "--service", service], Path(folder)) as server:
            server.must_listen()

            def held() -> tuple[int, int, int]:
                return server.descriptors(), server.threads(), len(server.session())

            fresh = held()
            call(server, service, callers // 10)
            wait_until(lambda: held() == fresh, 3)  # the last one may still be leaving
            before, memory = held(), server.resident()
            call(server, service, callers - callers // 10)
            complaints = []
            if not wait_until(lambda: held() == before, 3):
                complaints.append(f"descriptors, threads, processes: {before}, now {held()}")
            if (growth := server.resident() - memory) > MEMORY:
                complaints.append(f"its memory grew by {growth // 1024} KiB")
            return complaints
