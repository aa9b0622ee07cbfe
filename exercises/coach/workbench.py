"""Builds programs and runs checks on them, a few at a time, and lets nothing run on."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Optional

from catalog import Check, Exercise
from diagnostics import first_error, machines_fault
from doctor import ROOT, Stop, compiler, output, words_of
from judging import Outcome
from workshop import NOTES

CACHE = NOTES / "exercises/programs"
SANITIZERS: dict[str, list[str]] = {
    "plain": [],
    "asan": ["-fsanitize=address,undefined", "-fno-sanitize=vptr", "-fno-sanitize-recover=all"],
    "tsan": ["-fsanitize=thread"],
}
FLAGS = ["-std=c++20", "-g", "-Wall", "-Wextra", "-pthread"]
CORES = os.cpu_count() or 1
LONGEST_BUILD = 300  # seconds; only a compiler that hangs takes so long
KEPT = 400  # programs in the cache, about a megabyte each


class Unbuildable(Exception):
    """What the compiler says of a program, its first error first."""


class Hindered(Unbuildable):
    """What kept the compiler from saying anything about the program: the machine's fault."""


class Bench:
    """Where `judges` are: the build folder that holds the programs of checks."""

    def __init__(self, judges: Path, runs: int = 3 * CORES) -> None:
        self.judges = judges
        self.patience = 1  # with all checks
        self.runs = ThreadPoolExecutor(runs)
        self.compiling = threading.Semaphore(CORES)
        self.open = threading.Lock()
        self.running: set[subprocess.Popen[str]] = set()
        self.closed = False

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, kind: Optional[type], *_: object) -> None:
        """Ctrl-C or a failure of ours: what runs is told to stop, and clears up after itself."""
        with self.open:
            self.closed = True
            if kind:
                for process in self.running:
                    process.terminate()
        self.runs.shutdown(cancel_futures=True)

    def run(self, command: list[str], within: float, **environment: str) -> tuple[int, str, str]:
        """A command in a session of its own, so that Ctrl-C is for us to hear."""
        with self.open:
            if self.closed:
                raise Stop("stopped", 130)
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                env=dict(os.environ, **environment),
            )
            self.running.add(process)
        try:
            out, err = process.communicate(timeout=within)
            return process.returncode, out, err
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # a guard ends what it guards; give it the time
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:  # all of it: children hold the pipes open
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            return -1, "", f"did not end within {within:g} seconds"
        finally:
            with self.open:
                self.running.discard(process)

    # Building.

    def build(self, exercise: Exercise, file: Path, kind: str = "plain") -> Path:
        """The program of a file, from the cache where that has it. A page of answers is not built."""
        if file.suffix != ".cpp":
            return file
        folders = [file.parent, exercise.folder, ROOT / "lessons/common"]
        folders += [ROOT / folder for folder in exercise.include]
        flags = [*FLAGS, *SANITIZERS[kind], *words_of("CPPFLAGS"), *words_of("CXXFLAGS")]
        flags += words_of("LDFLAGS")
        text = key(file, *flags, *map(headers, folders))
        flags += [f"-I{folder}" for folder in folders]
        program = CACHE / text / file.stem
        try:
            with locked(CACHE / f"{text}.lock"), self.compiling:
                if not program.exists():
                    self.compile(exercise, file, program, flags)
            os.utime(program.parent)
        except OSError as error:
            raise Hindered(f"{error.filename or 'this machine'}: {error.strerror}") from None
        return program

    def compile(self, exercise: Exercise, file: Path, program: Path, flags: list[str]) -> None:
        program.parent.mkdir(parents=True, exist_ok=True)
        unfinished = program.with_suffix(".part")
        command = [*compiler(), *flags, str(file), "-o", str(unfinished)]
        code, _, said = self.run(command, LONGEST_BUILD)
        if code != 0:
            shutil.rmtree(program.parent)
            raise failure(code, said)
        unfinished.rename(program)

    # Running.

    def start(self, exercise: Exercise, file: Path, *only: str) -> dict[str, Future[Outcome]]:
        """Starts the checks on a file that is built; each waits for those that it needs."""
        begun: dict[str, Future[Outcome]] = {}
        for check in exercise.checks:
            if not only or check.id in only:
                needed = [begun[name] for name in check.needs if name in begun]
                begun[check.id] = self.runs.submit(self.decide, exercise, file, check, needed)
        return begun

    def judge(self, exercise: Exercise, file: Path, *only: str) -> list[Outcome]:
        """Builds a file and runs its checks, or only these. Raises Unbuildable."""
        for kind in {check.build for check in exercise.checks if not only or check.id in only}:
            self.build(exercise, file, kind)
        return [future.result() for future in self.start(exercise, file, *only).values()]

    def decide(
        self, exercise: Exercise, file: Path, check: Check, needed: list[Future[Outcome]]
    ) -> Outcome:
        """Checks are begun in the order of the description, so what is needed runs already."""
        missing = [one.result().check for one in needed if one.result().status != "pass"]
        if missing:
            return Outcome(check.id, "skipped", 0, f"needs {', '.join(missing)}", "")
        program = self.build(exercise, file, check.build)
        command = self.command(exercise, check, program)
        patience = {"NETSTEPS_PATIENCE": "3"} if check.build != "plain" else {}
        code, out, err = self.run(command, 3 * self.patience * exercise.seconds + 40, **patience)
        try:
            said = json.loads(out.rstrip("\n").split("\n")[-1])
        except ValueError:
            words = (err.strip() or f"no verdict, exit code {code}").splitlines()[-1]
            return Outcome(check.id, "harness", 0, words, "")
        return Outcome(**said)  # its keys are ours

    def command(self, exercise: Exercise, check: Check, program: Path) -> list[str]:
        return [
            str(self.judges / exercise.target),
            "--json",
            f"--check={check.id}",
            f"--seconds={self.patience * exercise.seconds * (3 if check.build != 'plain' else 1):g}",
            f"--programs={self.judges / 'lessons' / exercise.lesson}",
            *(["--sanitized"] if check.build != "plain" else []),
            str(program),
        ]


def failure(code: int, said: str) -> Unbuildable:
    cause, advice = machines_fault(said)
    if cause:
        return Hindered(f"{cause}\n\n{advice}")
    if code < 0 or not said.strip():
        return Hindered(f"the compiler gave no answer: {said.strip() or f'exit code {code}'}")
    return Unbuildable(first_error(said))


def key(file: Path, *more: str) -> str:
    told = [file.read_bytes(), *map(os.fsencode, [file.name, version(), *more])]
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:24]


@cache
def version() -> str:
    return " ".join([*compiler(), output(*compiler(), "--version")[1]])


@cache
def headers(folder: Path) -> str:
    """One text for all the headers in a folder: it changes when one of them does."""
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.hpp"))]
    return hashlib.sha256("".join(sums).encode()).hexdigest()


class locked:
    """One of us at a time builds the same program."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("w")

    def __enter__(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.file.close()


def tidy_up() -> None:
    """Forgets the programs that nobody has asked for in a long time."""
    with suppress(OSError):
        programs = sorted(
            (path for path in CACHE.iterdir() if path.is_dir()), key=lambda one: one.stat().st_mtime
        )
        for old in programs[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
            old.with_suffix(".lock").unlink(missing_ok=True)
