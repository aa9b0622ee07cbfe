"""The same callers for several servers: who waits for whom, where, and what each server takes."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Iterable, Iterator, NamedTuple, Optional

from conversation import amount_of
from doctor import Stop
from lessons import Server, choose, find_lesson, find_server, split_command
from scenes import SCENES, Scene, scene_of
from talk import LOGGED, TalkError
from timeline import NOTICEABLE, Event, Pen, Span, Visit
from timeline import busy_with, is_answer, scale, span_text, visits, wait_in, wait_of
from tour import Cost, aligned, family, observe, script
from workshop import child, first_line, listeners, ready

START = 10.0  # seconds until a program listens on the port that we gave it
FIGURES = ["total", "waited", "processes", "threads", "memory", "CPU", "switches"]


# Whom to compare


class Pair(NamedTuple):
    """A server that the callers are paired with: ours, anybody's program, or one that runs."""

    title: str
    server: Optional[Server] = None
    command: tuple[str, ...] = ()  # with {port} in it
    address: Optional[tuple[str, str]] = None


def pair(said: str) -> Pair:
    """`03`, `03/2`, `02/twin`, `./my-server --port {port}` or `127.0.0.1:4000`."""
    if "{port}" in said:
        return Pair(said, command=program(said))
    line = re.fullmatch(r"\[?([^/\s\[\]]+)\]?:([0-9]+)", said)
    if line:
        if len(line[2]) > 5 or not 1 <= int(line[2]) <= 65535:
            raise Stop(f"{line[2]:.20} is no port: a number from 1 to 65535", 2)
        return Pair(said, address=(line[1], line[2]))
    if re.search(r"^[./]|\s", said):
        raise Stop(f"write {{port}} where the program takes its port: '{said} --port {{port}}'", 2)
    server = find_server(said)
    return Pair(title(server), server)


def program(command: str) -> tuple[str, ...]:
    found = split_command(command)
    if not shutil.which(found[0]):
        raise Stop(f"there is no program '{found[0]}' to start with '{command}'", 2)
    return tuple(found)


def title(server: Server) -> str:
    number, topic = server.lesson.split("-", 1)
    if server == find_lesson(number).server:
        return f"{number} {topic.replace('-', ' ')}"
    if server.source.suffix == ".py":
        return f"{number}/twin {topic.replace('-', ' ')} in Python"
    return f"{number}/{server.name.split('_')[0]} {server.idea}"


def cast(name: str, clients: Optional[int]) -> Scene:
    scene = scene_of(choose("scene", name, {name: name for name in SCENES}))
    try:
        return scene if clients is None else scene.with_callers(clients)
    except TalkError as error:
        raise Stop(str(error), 2) from None


# What one server did


class Spent(NamedTuple):
    """What the processor did for the server, and how often it turned to or from it."""

    seconds: float = 0.0
    switches: int = 0

    def since(self, start: Spent) -> Spent:
        return Spent(max(self.seconds - start.seconds, 0), max(self.switches - start.switches, 0))


@dataclass
class Take:
    """The scene, as it went with one server."""

    pair: Pair
    events: list[Event] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    last_words: str = ""  # on standard error, if there was a fault
    cost: Optional[Cost] = None  # a server that ran before we came has none that we can see
    spent: Spent = Spent()

    @cached_property
    def visits(self) -> list[Visit]:
        return visits(self.events)

    @property
    def start(self) -> float:
        return min((visit.called for visit in self.visits), default=0.0)

    @property
    def length(self) -> float:
        return max((visit.ended for visit in self.visits), default=0.0) - self.start

    def callers(self) -> dict[str, list[Visit]]:
        """Each caller's visits: usually one."""
        names = dict.fromkeys(visit.who for visit in self.visits)
        return {name: [visit for visit in self.visits if visit.who == name] for name in names}

    def figures(self) -> list[str]:
        """What the table says about it, in the order of FIGURES."""
        found = ["-"] * len(FIGURES)
        if self.visits:
            who, longest = max(self.waits().items(), key=lambda wait: wait[1])
            total = "failed" if self.faults else span_text(self.length)
            found[:2] = [total, f"{who} {span_text(longest)}"]
        if self.visits and self.cost:
            processes, threads, memory = self.cost
            room = f"{memory / 1024:.1f} MiB" if memory else "-"
            work = [span_text(self.spent.seconds), str(self.spent.switches)]
            found[2:] = [str(processes), str(threads), room, *work]
        return found

    def waits(self) -> dict[str, float]:
        """The longest that each caller waited for the server; naps of their own are no wait."""
        return {name: longest_wait(mine) for name, mine in self.callers().items()}


def longest_wait(mine: list[Visit]) -> float:
    return max((wait_in(span) for visit in mine for span in visit.spans), default=0.0)


def play(pairs: list[Pair], scene: Scene, yes: bool) -> Iterator[Take]:
    """One after another, so that no server takes the processor from another."""
    ours = [pair.server for pair in pairs if pair.server]
    built = iter(ready(yes, *ours)) if ours else iter(())
    commands = [next(built) if pair.server else list(pair.command) for pair in pairs]
    for pair, command in zip(pairs, commands):
        announce(f"Playing {scene.name} to {pair.title} ...")
        take = Take(pair)
        if pair.address:
            with told(take):
                call(take, scene, pair.address, None)
        else:
            serve(take, scene, command)
        # Callers with a bad habit look for themselves whether an answer is right.
        polite = [name for name, habit in scene.callers().items() if not habit]
        take.faults += wrong_answers(event for event in take.events if event["who"] in polite)
        yield take
    announce("")


def announce(what: str) -> None:
    """Somebody at a terminal sees what goes on; the next thing takes its place."""
    if sys.stdout.isatty():
        print(f"\r\033[K{what}", end="", flush=True)


@contextmanager
def told(take: Take) -> Iterator[None]:
    """What goes wrong with one server is told of it, and the next one's turn comes all the same."""
    try:
        yield
    except Stop as stop:
        if stop.code > 128:  # it is lab itself that has to stop
            raise
        take.faults.append(str(stop))


def serve(take: Take, scene: Scene, command: list[str]) -> None:
    """Starts the server, plays the scene to it, ends it, and counts what it took."""
    port = free_port() if take.pair.command else 0
    command = [word.replace("{port}", str(port)) for word in command]
    output = subprocess.DEVNULL if port else subprocess.PIPE
    start = Spent()
    with tempfile.TemporaryFile() as said:
        with whole_family(command, stdout=output, stderr=said) as server:
            with told(take):
                line = await_port(server, port) if port else first_line(server)
                start = spent_by(server.pid)
                call(take, scene, line, server.pid)
            before = spent_by_children()
            if dead(server, 1.0 if take.faults else 0.0):
                when = "during" if take.events else "before"
                take.faults.insert(0, f"the server {fate(server.returncode)} {when} the scene")
        take.spent = spent_by_children().since(before).since(start)
        take.last_words = last_lines(said) if take.faults else ""


@contextmanager
def whole_family(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that leaves no children behind, whether it cares for them or dies before."""
    session = 0
    try:
        with child(command, **options) as server:
            session = server.pid
            yield server
    finally:
        for orphan in family(session) if session else ():
            with suppress(OSError):
                os.kill(int(orphan.name), signal.SIGKILL)


def dead(server: subprocess.Popen[str], patience: float) -> bool:
    """Its callers may have learnt of its death before we could."""
    with suppress(subprocess.TimeoutExpired):
        server.wait(patience)
    return server.returncode is not None


def call(take: Take, scene: Scene, line: tuple[str, str], server: Optional[int]) -> None:
    """Plays the scene, and keeps what the callers saw and what they complained about."""
    clients = ["--clients", str(len(scene.callers()))]
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryFile("w+") as complaints:
        command = [*script(scene.name, *line), *clients]
        with child(command, stdout=log, stderr=complaints) as callers:
            cost = observe(server, callers)
        take.cost = cost if server else None
        log.seek(0)
        complaints.seek(0)
        take.events = [json.loads(event) for event in log]
        take.faults += [text.strip().removeprefix("scenes.py: ") for text in complaints]


def wrong_answers(events: Iterable[Event]) -> Iterator[str]:
    """Where an answer is not what the protocol promises."""
    asked: dict[str, str] = {}
    for event in sorted(events, key=lambda event: float(event["t"])):
        who, text = event["who"], str(event.get("text", "")).removesuffix("\\n")
        if event["do"] == "sent":
            asked[who] = text
        elif event["do"] == "received" and who in asked and not text.startswith("Welcome to "):
            if is_answer(event["text"], asked[who]):
                question = asked.pop(who)
                due = promised(question)
                if due is not None and text != due and event["bytes"] <= LOGGED:
                    yield f"{who} asked `{question}` and heard `{text}`, not `{due}`"


def promised(question: str) -> Optional[str]:
    """The one answer that docs/protocol.md has for this, if there is only one."""
    if question.startswith("echo "):
        return question.removeprefix("echo ")
    if amount_of(b"sleep", question.encode()) is not None:
        return "ok"
    return "0000" if question == "0" else None


# Programs that are told their port


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def await_port(server: subprocess.Popen[str], port: int) -> tuple[str, str]:
    """Asks the kernel whether it listens: a call to find out would be one caller more."""
    end = time.monotonic() + START
    while not any(listeners(port)):
        if server.poll() is not None:
            raise Stop(f"nobody listened on port {port}, which stood for {{port}}")
        if time.monotonic() > end:
            raise Stop(f"the server did not listen on port {port} within {START:g} seconds")
        time.sleep(0.02)
    return "127.0.0.1", str(port)


# What a server takes


def spent_by(server: int) -> Spent:
    """So far. Until its first caller comes, no thread and no child of a server has ended."""
    nanoseconds = switches = 0
    for task in (task for process in family(server) for task in process.glob("task/*")):
        with suppress(OSError):
            nanoseconds += int((task / "schedstat").read_text().split()[0])
            counts = re.findall(
                r"ctxt_switches:\t(\d+)", (task / "status").read_text(errors="replace")
            )
            switches += sum(map(int, counts))
    return Spent(nanoseconds / 1e9, switches)


def spent_by_children() -> Spent:
    """By all that we have waited for, and by their children that they have waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_nvcsw + usage.ru_nivcsw)


def fate(code: int) -> str:
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def last_lines(said: IO[bytes]) -> str:
    said.seek(max(said.seek(0, os.SEEK_END) - 2000, 0))
    return "\n".join(said.read().decode(errors="replace").strip().splitlines()[-5:])


# What there is to see, in one sentence


def sight(take: Take) -> str:
    seen, waits = take.visits, take.waits()
    if not any(visit.greeted is not None for visit in seen):
        return "Nobody was greeted."
    told = {v.who: wait_of(v, seen, lambda *wait: reason(take, *wait)) for v in seen}
    late = sorted((who for who in told if told[who]), key=lambda who: -waits[who])
    if late:
        others = f"; {listed(sorted(late[1:]))} waited as well." if late[1:] else "."
        return told[late[0]][0].removesuffix(".") + others
    if take.faults:
        failed = [visit.who for visit in seen if visit.failed]
        return f"{listed(failed) or 'Nobody'} {'were' if len(failed) > 1 else 'was'} let down."
    who, longest = max(waits.items(), key=lambda wait: wait[1])
    if longest > NOTICEABLE:
        slow = f"{who}'s answer took {span_text(longest)} by itself"
        return f"Nobody waited for anybody else: {hands(seen)}, and {slow}."
    return f"Nobody waited: {hands(seen)}{meanwhile(seen)}."


def reason(take: Take, wait: Span, visit: Visit, seen: list[Visit]) -> str:
    """Who was busy with whom, while this caller waited."""
    busy = busy_with(wait, visit, seen)
    kind, count, callers = crew(seen)
    if len(busy) > 1 and 1 < count < callers:
        return f": all {count} {kind} were busy with {listed(busy)}"
    alone = f"the {kind} that served them" if count == 1 < callers else "the server"
    server = "the only thread" if take.cost and take.cost.threads == 1 else alone
    if len(busy) == 1:
        spans = [span for other in seen if other.who == busy[0] for span in other.spans]
        return f": {server} {deed(busy[0], max(spans, key=wait.overlap))}"
    return f": {server} was busy with {listed(busy)}" if busy else ""


def deed(who: str, span: Span) -> str:
    """What the server did for this caller in this time of theirs."""
    if span.kind == "silent":
        return f"was waiting for a word from {who}"
    return f"slept for {who}" if nap(span) else f"was busy with {who}"


def nap(span: Span) -> int:
    """Milliseconds that the caller asked the handler to sleep."""
    return amount_of(b"sleep", span.asking.removesuffix("\\n").encode()) or 0


def crew(seen: list[Visit]) -> tuple[str, int, int]:
    """What the greetings tell: were it threads or processes, how many, and for how many callers."""
    served = [visit.served_by for visit in seen if visit.served_by]
    processes = {name.partition(",")[0] for name in served}
    count = len(set(served))
    kind = "thread" if len(processes) == 1 else "process"
    plural = "" if count == 1 else "s" if kind == "thread" else "es"
    return kind + plural, count, len(served)


def hands(seen: list[Visit]) -> str:
    """How many served how many."""
    kind, count, callers = crew(seen)
    if callers < 2:
        return "whoever called was greeted at once"
    if count == callers:
        return f"each caller had a {'thread' if kind == 'threads' else 'process'} of their own"
    they = "both" if callers == 2 else f"all {callers}"
    return f"{'one' if count == 1 else count} {kind} served {they}"


def meanwhile(seen: list[Visit]) -> str:
    """Somebody was answered while somebody else's handler slept."""
    for sleeper in seen:
        for span in filter(nap, sleeper.spans):
            for other in seen:
                answer = other.wait_for_answer()
                if other is not sleeper and other.answered and answer and span.overlap(answer):
                    took = f"{other.who} was answered within {span_text(answer.length)}"
                    return f", and while {sleeper.who}'s handler slept, {took}"
    return ""


def listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# On the terminal


def show(takes: list[Take], scene: Scene, width: int, colour: bool, ascii: bool) -> str:
    """All lanes on one scale, what to see in them, and the table."""
    pen, length = Pen(colour, ascii), longest(takes)
    tails = [tail(mine) for take in takes for mine in take.callers().values()]
    columns = max(width - max(map(len, tails), default=0) - 6, 24)
    lines = [f"{scene.name}: {scene.idea}", "", "   " + scale(length, columns)]
    lines[-1] = lines[-1].ljust(columns + 6) + "waited   process, thread" * bool(tails)
    for take in takes:
        lines.append(f"\x1b[1m{take.pair.title}\x1b[0m" if colour else take.pair.title)
        for who, mine in take.callers().items():
            lane = pen.lane(mine, take.start, columns / length, columns)
            lines.append(f"{who}  {lane} {tail(mine)}".rstrip())
        lines += [*story(take), ""]
    every = [visit for take in takes for visit in take.visits]
    lines += [*pen.legend(every, width), ""] if every else []
    rows = [["", *FIGURES], *([take.pair.title, *take.figures()] for take in takes)]
    lines.append(aligned(rows, "  " if width >= 90 else " "))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def longest(takes: list[Take]) -> float:
    """The scale is the same for all: that of the longest."""
    return max([take.length for take in takes] + [0.001])


def tail(mine: list[Visit]) -> str:
    """What stands behind a lane."""
    by = served_by(mine).replace("process ", "").replace("thread ", "")
    return f"{span_text(longest_wait(mine)):7}  {by}"


def served_by(mine: list[Visit]) -> str:
    return " ".join(dict.fromkeys(visit.served_by for visit in mine if visit.served_by))


def story(take: Take) -> list[str]:
    """What to see; where something went wrong, that comes first, with the server's last words."""
    words = [f"  {line}" for line in take.last_words.splitlines()]
    faults = [f"WRONG: {fault}" for fault in take.faults]
    if words:
        faults += ["Its last words on standard error:", *words]
    return [*faults, sight(take)] if take.events else faults


# On the page


def writable(page: Path) -> Path:
    """Found out before anybody waits for the scene."""
    if page.is_dir() or not os.access(page.parent, os.W_OK):
        raise Stop(f"cannot write a page at {page}: give --page a file in a folder of yours", 2)
    return page


def write(page: Path, text: str) -> None:
    """All of it or nothing: whoever looks meanwhile sees the page that was there before."""
    half = page.with_name(f".{page.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8", errors="replace")
        half.replace(page)
    finally:
        half.unlink(missing_ok=True)
