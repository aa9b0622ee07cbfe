"""A server under trial, what /proc says about it, and strace at its side."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from callers import Unexpected

START = 5.0  # seconds to listen
STOP = 5.0  # seconds to end after SIGTERM

# Should we be killed, the kernel kills the server, too.
LIFELINE = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []

# strace and sanitizers want the same place. Leaks are found by others.
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"}


class Refused(Exception):
    """We may not trace a process of our own."""


class Mute(Unexpected):
    """The server did not say where it listens."""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def read_proc(pid: int, name: str) -> str:
    """A file of /proc; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def stat_of(pid: int) -> list[str]:
    """What /proc/PID/stat has behind the name, which may hold anything: state, parent, group ..."""
    return read_proc(pid, "stat").rpartition(")")[2].split()


def is_held(task: int) -> bool:
    return stat_of(task)[:1] == ["t"]


class Server:
    """A server in a session of its own, so that nothing it leaves behind escapes us."""

    alive: ClassVar[set[Server]] = set()

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        wrapper: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*LIFELINE, *wrapper, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | SANITIZER_OPTIONS | dict(environment or {}),
                start_new_session=True,
            )
        self.pid = self.process.pid
        self.port = 0
        self.alive.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.process.wait()
        self.alive.discard(self)
        assert self.process.stdout
        self.process.stdout.close()

    def kill(self) -> None:
        for pid in self.session():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def listens(self) -> bool:
        """Waits for its first line. False: it ended, or says nothing."""
        assert self.process.stdout
        deadline = time.monotonic() + START
        line = b""
        while not line.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                return False
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                return False
            line += byte
        found = re.fullmatch(rb"listening on [\d.]+:(\d+)\n", line)
        self.port = int(found[1]) if found else 0
        return bool(found)

    def must_listen(self) -> None:
        if not self.listens():
            raise Mute(f"it {self.ending()}" if self.ended(1) else "it does not listen")

    def errors(self) -> str:
        return self._errors.read_text(errors="replace")

    def session(self) -> list[int]:
        """All processes that it started, and it itself, but not those that are reaped."""
        pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
        return [pid for pid in pids if stat_of(pid)[3:4] == [str(self.pid)]]

    def zombies(self) -> list[int]:
        family = [pid for pid in self.session() if pid != self.pid]
        return [pid for pid in family if stat_of(pid)[:1] == ["Z"]]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def resident(self) -> int:
        """Bytes of memory."""
        found = re.search(r"^VmRSS:\s*(\d+) kB", read_proc(self.pid, "status"), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def cpu(self) -> float:
        """Seconds of computing, of all its processes."""

        def clock(pid: int) -> float:
            try:
                return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
            except OSError:
                return 0

        return sum(clock(pid) for pid in self.session())

    def load(self, seconds: float) -> float:
        """The part of a core that it takes while nobody talks to it."""
        before, start = self.cpu(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu() - before) / (time.monotonic() - start)

    def held(self) -> list[int]:
        """Those of its threads and children that strace keeps from running now. A look at all
        processes, as session() takes it, may last longer than strace holds anybody."""
        children = read_proc(self.pid, f"task/{self.pid}/children").split()
        tasks = map(int, os.listdir(f"/proc/{self.pid}/task") + children)
        return [task for task in tasks if is_held(task)]

    def tracer(self) -> int:
        found = re.search(r"^TracerPid:\s*(\d+)", read_proc(self.pid, "status"), re.MULTILINE)
        return int(found[1]) if found else 0

    def ended(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ending(self) -> str:
        """How it ended, in words, with its last one."""
        status = self.process.returncode
        how = f"ended with status {status}"
        if status < 0:
            how = f"died of {signal.Signals(-status).name}"
        said = self.errors().strip().splitlines()
        return how + (f" and said: {said[-1]}" if said else " and said nothing")


def strace(log: Path, calls: Iterable[str], inject: str) -> list[str]:
    """strace, told to trace these calls, and to change them. It knows descriptors by their names."""
    every = ",".join("?" + call for call in calls)  # ?: not every machine has every call.
    command = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={every}"]
    return command + (["-e", f"inject={every}:{inject}"] if inject else [])


class Tracer:
    """strace, attached to a server that runs, until the end of the `with` block."""

    def __init__(self, pid: int, log: Path, calls: Iterable[str], inject: str) -> None:
        command = [*LIFELINE, *strace(log, calls, inject), "-p", str(pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    def __enter__(self) -> Self:
        """Waits until strace says that it is attached."""
        assert self._process.stderr
        said = b""
        deadline = time.monotonic() + START
        while b" attached" not in said:
            left = max(0.0, deadline - time.monotonic())
            ready = select.select([self._process.stderr], [], [], left)[0]
            piece = os.read(self._process.stderr.fileno(), 4096) if ready else b""
            if not piece:
                self.__exit__()
                raise Refused(said.decode(errors="replace").strip() or "strace says nothing")
            said += piece
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # It detaches, and the server goes on.
        try:
            self._process.wait(START)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr
            self._process.stderr.close()


def why_not_traced() -> str:
    """The reason why strace cannot attach to a process of ours; empty where it can."""
    if not shutil.which("strace"):
        return "strace is missing. On Debian: apt-get install strace"
    sleeper = subprocess.Popen([*LIFELINE, "sleep", "60"])
    try:
        with Tracer(sleeper.pid, Path("/dev/null"), ["read"], ""):
            return ""
    except Refused as error:
        return str(error)
    finally:
        sleeper.kill()
        sleeper.wait()


def whole_lines(text: str) -> Iterator[str]:
    """The lines of a log. Where another thread came between, strace splits a call in two lines:
    here it is one again."""
    begun: dict[str, str] = {}
    for line in text.splitlines():
        task = line.partition(" ")[0]
        if line.endswith(" <unfinished ...>"):
            begun[task] = line.removesuffix(" <unfinished ...>")
        elif " resumed>" in line:
            yield begun.pop(task, "") + line.partition(" resumed>")[2]
        else:
            yield line


class Log:
    """What strace wrote."""

    # 1234 close(4<socket:[5]>) = -1 EINTR (Interrupted system call) (INJECTED)
    _CALL = re.compile(r"(\d+) +(\w+)\((?:(\d+)<([^>]*)>)?")
    # Of a signal there is only its arrival.
    _FIRED = re.compile(r"\((INJECTED|DELAYED)\)$|--- SIG(PIPE|CHLD|URG|WINCH) {.*SI_KERNEL")

    def __init__(self, path: Path) -> None:
        text = path.read_text(errors="replace") if path.exists() else ""
        self._lines = list(whole_lines(text))
        # Calls under way when strace left, which then fail with ENOSYS, if a fault was meant for them.
        waiting = text.count(" <unfinished ...>") - text.count(" resumed>")
        self.cut_off = waiting + text.count(" <detached ...>")

    def fired(self) -> list[str]:
        """The lines that say that a fault came."""
        return [line for line in self._lines if self._FIRED.search(line)]

    def calls(self) -> Counter[str]:
        """Each call, and how often that thread made it that made it most often."""
        made = Counter(call.group(1, 2) for line in self._lines if (call := self._CALL.match(line)))
        most: Counter[str] = Counter()
        for (_, name), count in made.items():
            most[name] = max(most[name], count)
        return most

    def hit_a_caller(self) -> bool:
        """Not only the log, a pipe or a file: a socket, or a call that has no descriptor. What
        epoll_ctl() does to a socket stands in its third argument."""
        hits = [self._CALL.match(line) for line in self.fired()]
        return any(
            not hit
            or not hit[4]
            or hit[4].startswith("socket:")
            or (hit[2] == "epoll_ctl" and "<socket:" in hit.string)
            for hit in hits
        )

    def closed_again(self) -> list[str]:
        """Descriptors that were closed once more after a close() that said it had failed. strace
        skips that close(), so the number cannot have become another's in between."""
        failed: set[tuple[str, ...]] = set()
        again: list[str] = []
        for line in self._lines:
            call = self._CALL.match(line)
            if call and call[2] == "close":
                if call.group(1, 3) in failed:
                    again.append(call[3])
                if line.endswith("(INJECTED)"):
                    failed.add(call.group(1, 3))
        return again
