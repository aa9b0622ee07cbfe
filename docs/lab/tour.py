"""The tour: the same scenes for every lesson's server; who waited how long, and what it cost."""

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Iterator, NamedTuple, Optional

from doctor import ROOT, Stop, output
from lessons import Lesson
from workshop import child, first_line

SCENES = ["three_callers", "silent_first", "one_sleeps"]
DRAWN = "one_sleeps"  # no two kinds of server look the same in it
QUESTION = "A's handler sleeps, and B has a question. Who waits, and where?"
TIMELINE = [sys.executable, str(ROOT / "clients/timeline.py")]
LOOK = 0.1  # seconds between two looks at what the server takes
LONGEST_SCENE = 60.0  # seconds


class Cost(NamedTuple):
    """What a server takes: it, its children, the threads of them all, and their memory in KiB.
    Memory is counted as PSS: what several processes share is divided among them."""

    processes: int = 0
    threads: int = 0
    memory: int = 0

    def peak(self, other: "Cost") -> "Cost":
        return Cost(*(max(mine, theirs) for mine, theirs in zip(self, other)))


class Impression(NamedTuple):
    """What is to be said about one lesson at the end."""

    lesson: Lesson
    waits: list[float]  # the longest in each scene, in seconds
    cost: Cost  # the most that was seen at once


def visit(lesson: Lesson, command: list[str]) -> Impression:
    """Plays all scenes to a lesson's server, and draws the telling one."""
    print(f"\nLesson {lesson.number}, {lesson.topic.replace('-', ' ')}", flush=True)
    waits, most = [], Cost()
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        line = first_line(server)
        for scene in SCENES:
            with tempfile.TemporaryDirectory() as folder:
                log = Path(folder) / scene
                most = most.peak(play(scene, line, server.pid, log))
                if scene == DRAWN:
                    print(f"{QUESTION}\n", flush=True)
                    draw(log)
                waits.append(longest_wait(log))
    return Impression(lesson, waits, most)


def play(scene: str, line: tuple[str, str], server: int, log: Path) -> Cost:
    """Plays one scene, and looks at the server all the while."""
    with log.open("w") as events, child(script(scene, *line), stdout=events) as callers:
        most = observe(server, callers)
    if callers.returncode != 0:
        raise Stop(f"the scene {scene} failed with exit code {callers.returncode}")
    return most


def script(scene: str, host: str, port: str) -> list[str]:
    callers = [sys.executable, str(ROOT / "clients/scenes.py"), scene]
    return [*callers, "--host", host, "--port", port, "--json"]


def observe(server: Optional[int], callers: "subprocess.Popen[str]") -> Cost:
    """Looks at the server, if it is one of our processes, until the callers have left."""
    most, end = Cost(), time.monotonic() + LONGEST_SCENE
    while callers.poll() is None:
        if time.monotonic() > end:
            raise Stop(f"the callers were not done within {LONGEST_SCENE:g} seconds")
        most = most.peak(cost(server)) if server else most
        time.sleep(LOOK)
    return most


def draw(log: Path) -> None:
    with child([*TIMELINE, str(log)]) as picture:  # it asks the terminal for width and colours
        if picture.wait() != 0:
            raise Stop("the scene could not be drawn")


def longest_wait(log: Path) -> float:
    succeeded, said = output(*TIMELINE, "--longest", str(log))
    if not succeeded:
        raise Stop(f"what the callers logged cannot be read: {said}")
    return float(said)


def cost(server: int) -> Cost:
    """What it takes now."""
    processes = threads = memory = 0
    for process in family(server):
        with suppress(OSError):  # it ended while we looked
            tasks = len(list((process / "task").iterdir()))
            processes, threads = processes + 1, threads + tasks
            for line in (process / "smaps_rollup").read_text().splitlines():
                memory += int(line.split()[1]) if line.startswith("Pss:") else 0
    return Cost(processes, threads, memory)


def family(server: int) -> Iterator[Path]:
    """It and its children, in /proc. It has a session of its own, and they are in it."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it ended while we looked
            stat = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if stat[3] == str(server) and stat[0] not in "ZX":
                yield process


def table(impressions: list[Impression]) -> str:
    titles = ["lesson", *(scene.replace("_", " ") for scene in SCENES)]
    rows = [[*titles, "processes", "threads", "memory"]]
    for lesson, waits, (processes, threads, memory) in impressions:
        name = lesson.folder.name.replace("-", " ")
        room = f"{memory / 1024:.1f} MiB" if memory else "-"
        rows.append([name, *map(span, waits), str(processes), str(threads), room])
    return aligned(rows)


def aligned(rows: list[list[str]], gap: str = "  ") -> str:
    """Names on the left, figures on the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join(map(gap.join, lines))


def span(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
