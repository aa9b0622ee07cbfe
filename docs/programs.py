"""Run the programs that the pages show, none of them longer than a deadline."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from definitions import Complaint

DEADLINE = 60  # seconds
PATIENCE = 5  # seconds for a program that was asked to stop


def transcript(program: list[str], scene: list[str]) -> list[str]:
    """Starts the server, plays the scene to it, and stops it, come what may."""
    with log_file() as log, started(program, log) as server:
        assert server.stdout is not None
        said = server.stdout.readline().strip()
        if port := re.fullmatch(r"listening on \S+:(\d+)", said):
            return output_of([*scene, "--port", port[1], "--transcript"]).splitlines()
        raise Complaint(
            f"{program[-1]} does not listen, it says: {said or logged(log) or 'nothing'}"
        )


def output_of(command: list[str], folder: Path | None = None) -> str:
    with log_file() as log:
        with started(command, log, folder) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            wait_for(process)
        if process.returncode == 0 and output.strip():
            return output
        why = logged(log) or output.strip() or "it prints nothing"
        if process.returncode == -signal.SIGKILL:
            why = f"it takes longer than {DEADLINE} s"
        raise Complaint(f"`{shlex.join(command)}` ends with {process.returncode}: {why}")


def log_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")


def logged(log: IO[str]) -> str:
    log.seek(0)
    return log.read().strip()


@contextlib.contextmanager
def started(
    command: list[str], log: IO[str], folder: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, of which nothing is left afterwards."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            errors="backslashreplace",
            process_group=0,
        )
    except OSError as error:
        raise Complaint(f"cannot start {command[0]}: {error.strerror}") from None

    def end(signal_number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)

    watchdog = threading.Timer(DEADLINE, end, [signal.SIGKILL])
    patience = threading.Timer(PATIENCE, end, [signal.SIGKILL])
    watchdog.start()
    try:
        yield process
    finally:
        end(signal.SIGTERM)
        patience.start()
        wait_for(process)
        end(signal.SIGKILL)  # whoever of the group is left
        for timer in (watchdog, patience):
            timer.cancel()
            timer.join()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_for(process: subprocess.Popen[str]) -> None:
    """Its number stays taken until Popen.wait(): nobody else gets the signals that are for it."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
