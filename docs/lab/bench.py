"""What servers cost under load, measured in pairs. Stands behind `lab bench`; the callers are those of
clients/load, the reports are made in bench_report.py."""

import argparse
import json
import os
import platform
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from statistics import mean, median, quantiles
from typing import IO, Any, NamedTuple, Optional

import bench_report
from doctor import ROOT, Stop, compiler, line, output
from lessons import Server, find_server, lessons, split_command
from workshop import MEASURED, NOTES, build, child, first_line, listeners, ready

LOAD = "clients/load/load"
MEASURE = "clients/load/epoll_echo"
SLICE = 20  # milliseconds
SITTINGS = 5  # each mode is played so often, with servers that are started afresh
ROUNDS = 2  # in each sitting; each gives one figure for each server
LEAST_NOISE = 0.03  # that a run is lucky says nothing about the next
NOISE_OF_A_CORE = 0.08  # so much two runs differ for each core that others keep busy, as we saw
SPARE = 256  # descriptors that a program needs beside those of its callers
IDLE = {True: 300, False: 1000}  # silent callers, in a quick run and in a full one


class Mode(NamedTuple):
    """One way to put load on a server: who calls, and what they do (see crowd.hpp)."""

    name: str
    title: str
    scene: dict[str, int]
    quick: bool = False
    longer: int = 1

    @property
    def callers(self) -> int:
        """So many are on the line at once."""
        return sum(self.scene.get(part, 0) for part in ("active", "idle", "slow", "flooders"))


MODES = [
    Mode("ping_1", "1 caller: ask, wait for the answer, ask again", {"active": 1}, quick=True),
    Mode("ping_10", "10 callers, each one question at a time", {"active": 10}),
    Mode("ping_100", "100 callers, each one question at a time", {"active": 100}, quick=True),
    Mode("ping_1000", "1,000 callers, each one question at a time", {"active": 1000}),
    Mode("pipelined", "100 callers, each 16 questions at a time", {"active": 100, "depth": 16}),
    Mode("large", "10 callers, questions of 64 KiB", {"active": 10, "size": 65536}),
    Mode("newcomer", "connect, ask once, close; one after another", {"newcomers": 1}),
    Mode("newcomers", "connect, ask once, close; 16 at a time", {"newcomers": 16}, True, 2),
    Mode("idle", "10 ask, and many more are silent", {"active": 10, "idle": 0}, quick=True),
    Mode("steady", "100 callers, 5,000 questions a second", {"active": 100, "rate": 5000}, True),
    Mode("slow", "10 ask, beside 50 slow readers", {"active": 10, "rate": 1000, "slow": 50}),
    Mode("flood", "10 ask, beside one who floods", {"active": 10, "rate": 1000, "flooders": 1}),
]


class Played:
    """What was seen in a mode, in all its sittings."""

    def __init__(self, mode: Mode, names: list[str]) -> None:
        self.mode = mode
        self.lines: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        self.lost: dict[str, str] = {}  # who has no figures, and why
        self.disturbed: list[tuple[float, float]] = []  # by others, by the host: of each sitting


class Entry(NamedTuple):
    """A server that is measured: as it was named, what it is, and how to start it."""

    name: str
    title: str
    command: list[str]


class Running(NamedTuple):
    entry: Entry
    process: "subprocess.Popen[str]"
    address: str  # PID:PORT
    words: IO[str]  # what it says on standard error


# Which servers.


def entries(args: argparse.Namespace) -> list[Entry]:
    """The measure twice, then what was asked for: how far the measure is from itself is the noise."""
    named = args.servers or [lesson.number for lesson in lessons()]
    if args.reference and args.reference not in named:
        named = [args.reference, *named]
    ours = {said: find_server(first_word(said)) for said in named if "{port}" not in said}
    folder = build(MEASURED, args.yes, LOAD, MEASURE)
    commands = dict(zip(ours, ready(args.yes, *ours.values(), kind=MEASURED)))
    found = []
    for said in dict.fromkeys(named):
        if said in ours:
            found.append(entry(said, ours[said], commands[said]))
        else:
            found.append(Entry(said, "a program of your own", split_command(said)))
    if args.reference:
        first = next(one for one in found if one.name == args.reference)
    else:
        first = Entry("epoll_echo", "a hand-written loop around epoll", [str(folder / MEASURE)])
    again = first._replace(name=bench_report.again(first.name), title="the same once more")
    return [first, again, *(one for one in found if one != first)]


def first_word(said: str) -> str:
    words = split_command(said)
    if not words:
        raise Stop("a server has a name: 03, 03/17, 02/twin, or a command with {port} in it", 2)
    return words[0]


def entry(said: str, server: Server, command: list[str]) -> Entry:
    """A server of ours. What stands behind its name are its own options: "05 --poller select"."""
    if not takes_options(server):
        raise Stop(f"{said} takes no options, so it cannot be asked for the echo service", 2)
    title = server.lesson.split("-", 1)[1].replace("-", " ")
    if not server.name.endswith("_server"):
        title += f", {server.name.split('_', 1)[-1].replace('_', ' ')}"
    own = split_command(said)[1:]
    return Entry(said, title, [*command, "--service", "echo", "--max-clients", "100000", *own])


def takes_options(server: Server) -> bool:
    pages = [server.source] if server.source.is_file() else server.source.glob("*.cpp")
    return server.name == "twin" or any(
        "options_from" in page.read_text(encoding="utf-8") for page in pages
    )


# One mode.


class Run:
    """What was asked for, what has been seen, and how long the rest will take."""

    def __init__(self, args: argparse.Namespace) -> None:
        chosen = chosen_modes(args)  # Before anything is built: a name may be wrong.
        self.entries = entries(args)
        self.quick: bool = args.quick
        self.slices = 3 if args.quick else 6
        wanted = [self.fitted(mode, args.idle) for mode in chosen]
        self.modes = [mode for mode in wanted if self.descriptors(mode) <= raise_limit()]
        self.left_out = [
            f"{mode.name} is left out: it wants {self.descriptors(mode):,} descriptors, and "
            f"ulimit -Hn is {raise_limit():,}; name fewer servers"
            for mode in wanted
            if mode not in self.modes
        ]
        self.most: dict[str, int] = {}  # who said that there is room for so many at once
        cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.server_core = cores[0], cores[-1]
        self.results: list[dict[str, Any]] = []

    def fitted(self, mode: Mode, asked: Optional[int]) -> Mode:
        """As many silent callers as this machine lets us have."""
        if "idle" not in mode.scene:
            return mode
        wanted = IDLE[self.quick] if asked is None else asked
        room = (raise_limit() - SPARE) // len(self.entries) - mode.scene["active"]
        count = max(0, min(wanted, room))
        title = f"10 ask, and {count:,} more are silent"
        if count < wanted:
            title += f" (no more: ulimit -Hn is {raise_limit()})"
        return mode._replace(title=title, scene={**mode.scene, "idle": count})

    def descriptors(self, mode: Mode) -> int:
        """Of the load generator, which calls all servers at once."""
        return mode.callers * len(self.entries) + SPARE

    def seconds(self, mode: Mode) -> float:
        """About so long a sitting takes."""
        slices = (ROUNDS * self.slices * mode.longer + 1) * len(self.entries)
        return 1.5 + slices * SLICE * 1.3 / 1000

    def play(self) -> dict[str, Any]:
        """Goes round all the modes, again and again: what a server cost in the first minute, and what
        it cost in the last, both belong to its figure."""
        idle_since, start = Bystanders(), time.monotonic()
        played = [Played(mode, [one.name for one in self.entries]) for mode in self.modes]
        sittings = [mode for _ in range(SITTINGS) for mode in played]
        for number, seen in enumerate(sittings):
            self.sit(seen, sum(self.seconds(rest.mode) for rest in sittings[number + 1 :]))
        others, stolen = idle_since.look()
        passed = time.monotonic() - start
        facts = machine(self.load_core, self.server_core)
        return {
            "schema": bench_report.SCHEMA,
            "when": datetime.now().isoformat(" ", "minutes"),
            "seconds": round(passed, 1),
            "quick": self.quick,
            "rounds": SITTINGS * ROUNDS,
            "machine": facts,
            "others": others,
            "stolen": stolen,
            "left_out": self.left_out,
            "reference": self.entries[0].name,
            "servers": [one._asdict() for one in self.entries],
            "modes": [judged(seen) for seen in played],
        }

    def sit(self, seen: "Played", later: float) -> None:
        """Starts the servers afresh, lets the load generator play, and hears what it counted."""
        mode, bystanders = seen.mode, Bystanders()
        with ExitStack() as stack:
            guests: list[Running] = []
            for one in self.entries:
                if self.most.get(one.name, mode.callers) < mode.callers:
                    seen.lost.setdefault(one.name, f"serves {self.most[one.name]} at once")
                if one.name not in seen.lost:
                    try:
                        guests.append(self.started(one, stack))
                    except Stop as why:
                        seen.lost[one.name] = str(why)
            said = self.load(mode, guests, later) if guests else []
            for index, guest in enumerate(guests):
                lines = [line for line in said if line["server"] == index]
                seen.lines[guest.entry.name] += lines
                sentence = self.end_of(guest, lines)
                if sentence:
                    seen.lost[guest.entry.name] = sentence
        seen.disturbed.append(bystanders.look())

    def started(self, one: Entry, stack: ExitStack) -> Running:
        words = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        port = str(free_port()) if any("{port}" in word for word in one.command) else ""
        command = [word.replace("{port}", port) for word in one.command]
        pinned = ["taskset", "-c", str(self.server_core), *command]
        process = stack.enter_context(child(pinned, stdout=subprocess.PIPE, stderr=words))
        try:
            port = port and wait_for(process, port) or first_line(process)[1]
        except Stop as why:
            ended = "it ended" if gone(process) else str(why)
            raise Stop(f"did not start: {ended}{last_words(words)}") from None
        return Running(one, process, f"{process.pid}:{port}", words)

    def load(self, mode: Mode, guests: list[Running], later: float) -> list[dict[str, Any]]:
        """Plays a mode to all these servers; gives the lines of the load generator."""
        counts = {
            **mode.scene,
            "rounds": ROUNDS,
            "slices": self.slices * mode.longer,
            "slice": SLICE,
            "server-core": self.server_core,
        }
        command = ["taskset", "-c", str(self.load_core), str(ROOT / f"build-{MEASURED}" / LOAD)]
        command += [f"--{name}={value}" for name, value in counts.items()]
        command += [guest.address for guest in guests]
        expected = self.seconds(mode)
        deadline = time.monotonic() + 60 + 10 * expected
        lines: list[dict[str, Any]] = []
        progress(mode.title, expected + later)
        with child(command, stdout=subprocess.PIPE) as load:
            assert load.stdout
            while select.select([load.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                line = load.stdout.readline()
                if not line:
                    break
                lines.append(json.loads(line))
                rounds = 1 + lines[-1].get("round", -1)
                progress(mode.title, expected * (1 - rounds / ROUNDS) + later)
            else:
                raise Stop(f"the load generator did not end in time: {' '.join(command)}")
            if load.wait() != 0:
                raise Stop(f"the load generator failed: {' '.join(command)}")
        progress()
        return lines

    def end_of(self, guest: Running, lines: list[dict[str, Any]]) -> str:
        """Why this server has no figures in this mode, with the last that it said; or nothing."""
        why = next((str(line["lost"]) for line in lines if "lost" in line), "")
        room = re.match(r"serves (\d+) of", why)
        if room:
            self.most[guest.entry.name] = int(room[1])
        if gone(guest.process):
            code = guest.process.returncode
            how = f"of {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            why = f"died {how}"
        return why + last_words(guest.words) if why else ""


def chosen_modes(args: argparse.Namespace) -> list[Mode]:
    if not args.only:
        return [mode for mode in MODES if mode.quick or not args.quick]
    names = args.only.split(",")
    unknown = set(names) - {mode.name for mode in MODES}
    if unknown:
        known = ", ".join(mode.name for mode in MODES)
        raise Stop(f"there is no mode {', '.join(sorted(unknown))}. There is: {known}", 2)
    return [mode for mode in MODES if mode.name in names]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(process: "subprocess.Popen[str]", port: str) -> str:
    """Until a program of the reader's own listens on the port that we chose for it."""
    end = time.monotonic() + 10
    while time.monotonic() < end and not gone(process):
        if any(holds(process.pid, inode) for inode in listeners(int(port))):
            return port
        time.sleep(0.02)  # there is nothing to wait on: a listener tells nobody that it is there
    raise Stop(f"nobody listens on port {port}")


def holds(leader: int, inode: str) -> bool:
    """Whether it or a child has this socket: by now the port may be somebody else's."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            if os.getsid(int(process.name)) == leader:
                if any(os.readlink(fd) == f"socket:[{inode}]" for fd in (process / "fd").iterdir()):
                    return True
    return False


def gone(process: "subprocess.Popen[str]") -> bool:
    return process.poll() is not None


def last_words(words: IO[str]) -> str:
    words.seek(0)
    lines = words.read()[-2000:].strip().splitlines()
    return f"; it said: {lines[-1]}" if lines else ""


def raise_limit() -> int:
    """As many descriptors as we may have, for us and for those that we start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return 1_000_000 if most == resource.RLIM_INFINITY else most


# From counts to figures.


def judged(seen: Played) -> dict[str, Any]:
    mode, names = seen.mode, list(seen.lines)
    others, stolen = (round(mean(part), 3) for part in zip(*seen.disturbed))
    measure = [] if names[0] in seen.lost else rounds_of(seen.lines[names[0]])
    results: dict[str, dict[str, Any]] = {
        name: {"lost": seen.lost[name]} if name in seen.lost else figures(mode, lines, measure)
        for name, lines in seen.lines.items()
    }
    twin = results[names[1]]
    noise: Optional[float] = None
    if "ratio" in twin:
        low, middle, high = twin["ratio"]
        least = LEAST_NOISE + NOISE_OF_A_CORE * others + stolen
        noise = round(max(abs(middle - 1), (high - low) / 2, least), 3)
    return {
        "name": mode.name,
        "title": mode.title,
        "scene": mode.scene,
        "others": others,
        "stolen": stolen,
        "noise": noise,
        "results": results,
    }


def rounds_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if "round" in line]


def figures(
    mode: Mode, lines: list[dict[str, Any]], measure: list[dict[str, Any]]
) -> dict[str, Any]:
    rounds = rounds_of(lines)
    unit = "bytes" if "flooders" in mode.scene else "messages"

    def work(line: dict[str, Any]) -> float:
        return float(line[unit]) / max(float(line["cpu"]), 1e-6)

    def seen(key: str) -> Any:
        """What the load generator says once in a sitting."""
        return median(line[key] for line in lines if key in line and "round" not in line)

    messages = max(1, sum(line["messages"] for line in rounds))
    wall = sum(line["wall"] for line in rounds)
    found: dict[str, Any] = {
        "per_cpu_second": round(median(map(work, rounds))),
        "per_second": round(messages / wall),
        "cpu_us": round(sum(line["cpu"] for line in rounds) / messages * 1e6, 2),
        "load_us": round(sum(line["load"] for line in rounds) / messages * 1e6, 2),
        "processes": int(seen("processes")),
        "threads": int(seen("threads")),
    }
    if measure:
        found["ratio"] = quarters([work(mine) / work(its) for mine, its in zip(rounds, measure)])
    if "newcomers" not in mode.scene:
        found["switches"] = round(sum(line.get("switches", 0) for line in lines) / messages, 2)
    if "idle" in mode.scene:
        found["own_kib"] = round(seen("own"), 2)
        found["kernel_kib"] = round(seen("kernel"), 2)
    if "slow" in mode.scene:
        found["grown_kib"] = round(seen("grown") / mode.scene["slow"], 1)
    if "rate" in mode.scene:
        found["waits"] = waits([wait for line in rounds for wait in line["waits"]])
    return found


def quarters(values: list[float]) -> list[float]:
    """The lower quarter, the middle, and the upper quarter."""
    return [round(value, 3) for value in quantiles(values, n=4, method="inclusive")]


def waits(values: list[int]) -> dict[str, Any]:
    """Microseconds, in percentiles; and how many were how long, in tenths of a decade."""
    values = sorted(values)
    counts = Counter(bench_report.step_of(value) for value in values)

    def share(part: float) -> int:
        return values[min(len(values) - 1, int(len(values) * part))]

    return {
        "count": len(values),
        "p50": share(0.5),
        "p99": share(0.99),
        "p999": share(0.999),
        "max": values[-1],
        "histogram": [[step, counts[step]] for step in sorted(counts)],
    }


# The machine.


def machine(load_core: int, server_core: int) -> dict[str, Any]:
    processor = None
    with suppress(OSError):
        processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "system": next(iter(output("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME")[1:])),
        "kernel": platform.release(),
        "processor": processor[1] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_core": load_core,
        "server_core": server_core,
        "compiler": line(output(*compiler(), "--version")[1]),
        "build": "release, without assertions",
        "python": platform.python_version(),
    }


class Bystanders:
    """What everybody else takes of the machine's processors, from now on."""

    def __init__(self) -> None:
        self.start, self.before = time.monotonic(), self.times()

    def look(self) -> tuple[float, float]:
        """How many cores were busy with others on average; what part of one the host took away.
        What we started counts as ours once it has ended, and we have waited for it."""
        passed = time.monotonic() - self.start
        busy, stolen, own = (now - then for now, then in zip(self.times(), self.before))
        return round(max(0.0, busy - own) / passed, 2), round(stolen / passed, 3)

    @staticmethod
    def times() -> tuple[float, float, float]:
        """Seconds of all cores; those that the host took; our own, and of all that we started."""
        ticks = os.sysconf("SC_CLK_TCK")
        with open("/proc/stat") as lines:
            columns = [int(word) / ticks for word in lines.readline().split()[1:9]]
        user, nice, system, _, _, interrupts, soft, stolen = columns
        whom = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        own = sum(sum(resource.getrusage(who)[:2]) for who in whom)
        return user + nice + system + interrupts + soft, stolen, own


def progress(what: str = "", left: float = 0) -> None:
    """One line that is written over at a terminal, and is not there for a file."""
    if sys.stderr.isatty():
        minutes, seconds = divmod(round(left), 60)
        print(end="\r\033[K", file=sys.stderr)
        if what:
            print(f"{what} ... {minutes}:{seconds:02} left", end="", file=sys.stderr, flush=True)


def measure(args: argparse.Namespace) -> int:
    """Plays all, prints what was seen, and writes the reports in one go at the end."""
    if not Path("/proc/self/stat").exists():
        raise Stop(
            "what servers take stands in /proc, which is not there: mount -t proc proc /proc"
        )
    raise_limit()
    run = Run(args)
    expected = SITTINGS * sum(map(run.seconds, run.modes))
    names = ", ".join(one.name for one in run.entries[2:])
    print(f"Measuring {names}: about {max(1, round(expected / 60))} min.", flush=True)
    try:
        report = run.play()
    finally:
        progress()
    print(bench_report.text(report))
    folder = Path(args.output) if args.output else NOTES / "bench"
    pages = bench_report.write(report, folder)
    if args.write:
        pages.append(bench_report.record(report))
    print(f"\nWritten: {', '.join(str(page) for page in pages)}")
    nobody = all(
        "lost" in result for mode in report["modes"] for result in mode["results"].values()
    )
    if nobody:
        raise Stop("no server could be measured")
    return 0
