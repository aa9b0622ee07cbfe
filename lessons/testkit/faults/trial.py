"""One trial: one fault, one server, its callers, and what there is to complain about."""

from __future__ import annotations

import errno
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from callers import SERVICES, Caller, Fate, Habit, Unexpected, fate_of
from server import START, STOP, Log, Server, Tracer, is_held, strace, wait_until
from table import DROP, EXIT, SERVE, Answer, Column, Row, Scene

BUSY = 0.2  # the part of a core that means: it spins
SHORTAGE = 1.2  # seconds that a shortage lasts
CALLS_A_SECOND = 200  # that a server may make in vain
LINES = 2  # that it may log about it, besides one a second


@dataclass(frozen=True)
class Stage:
    """What all trials have in common."""

    command: Sequence[str]
    column: Column
    preload: Path | None = None

    def command_for(self, service: str) -> list[str]:
        return [*self.command, "--port", "0", "--service", service]


@dataclass(frozen=True)
class Trial:
    row: Row
    call: str
    fault: str
    occurrence: str
    service: str

    @property
    def name(self) -> str:
        call = "" if self.call in (self.row.group, "preload") else self.call
        parts = (self.row.group, call, self.fault, self.occurrence, self.service)
        return ":".join(part for part in parts if part)

    @property
    def first(self) -> int:
        """Which of a thread's calls the fault is meant for, or the first of them."""
        return int(self.occurrence.rstrip("+").split("..")[0])

    @property
    def inject(self) -> str:
        what = self.fault if "=" in self.fault else f"error={self.fault}"
        return f"{what}:when={self.occurrence}"


@dataclass(frozen=True)
class Verdict:
    complaints: list[str]
    fired: bool = True
    too_few: bool = False  # No thread made the call so often that the fault could come.


# ---- what there is to complain about


def says_the_reason(server: Server, fault: str) -> bool:
    number = getattr(errno, fault, errno.ENOMEM)  # brk() alone has a fault without a name.
    reasons = [os.strerror(number)]
    if number == errno.ENOMEM:
        reasons += ["bad_alloc", "MemoryError"]
    return any(reason in server.errors() for reason in reasons)


def left_behind(server: Server) -> list[str]:
    """For a server that is gone: nothing of it may stay."""
    if wait_until(lambda: not server.session(), STOP):
        return []
    return [f"after {STOP:.0f} s, processes of it are left behind: {server.session()}"]


def complaints_of_the_exit(server: Server, fault: str) -> list[str]:
    """For a server that may end: with status 1 to 125 and a message that has the reason."""
    if not 1 <= server.process.returncode <= 125:
        return [f"it {server.ending()}"]
    if not says_the_reason(server, fault):
        return [f"it {server.ending()} (but not the reason)"]
    return left_behind(server)


def complaints_of_the_stop(server: Server) -> list[str]:
    """For a server that SIGTERM was sent to."""
    if not server.ended(STOP):
        return [f"{STOP:.0f} s after SIGTERM it has not ended"]
    if server.process.returncode != 0:
        return [f"after SIGTERM it {server.ending()}"]
    return left_behind(server)


def aftermath(server: Server, descriptors: float = math.inf) -> list[str]:
    """Nobody calls any more: it is at rest, it holds nothing, and it obeys SIGTERM."""
    complaints = []
    idle = server.load(0.1)
    if server.ended(0):
        return [f"it {server.ending()}"]
    if idle > BUSY and (load := server.load(0.5)) > BUSY:
        complaints.append(f"it spins: {load:.0%} of a core while nobody calls")
    if not wait_until(lambda: not server.zombies(), 1):
        complaints.append(f"{len(server.zombies())} zombies")
    if not wait_until(lambda: server.descriptors() <= descriptors, 2):
        complaints.append(f"{descriptors} descriptors at the start, now {server.descriptors()}")
    server.process.send_signal(signal.SIGTERM)
    return complaints + complaints_of_the_stop(server)


def complaints_of_callers(answer: Answer, fates: list[Fate], fired: int) -> list[str]:
    """Whoever is dropped is dropped for a fault of his own; nobody hangs."""
    complaints = [str(fate) for fate in fates if fate.how != "dropped"]
    dropped = [fate for fate in fates if fate.how == "dropped"]
    if DROP not in answer:
        complaints += [str(fate) for fate in dropped]
    elif len(dropped) > fired:
        complaints.append(f"{len(dropped)} callers were dropped for {fired} faults")
    elif answer == DROP and fired and not dropped:
        complaints.append("no caller was dropped: whose call failed?")
    return complaints


# ---- the scenes


def play_day(
    server: Server, name: str, column: Column, fault: AbstractContextManager[object]
) -> list[Fate]:
    """All callers ring at once and talk in turn while the fault is there. The bystander is there
    all the time, and is asked when the fault is gone. Returns the fates of those not served."""
    service = SERVICES[name]
    fates: dict[Caller, Fate] = {}

    def tell(caller: Caller, who: str, habit: Habit) -> None:
        if caller in fates or any(fate.how == "left hanging" for fate in fates.values()):
            return  # The caller is gone; or this one would be left hanging, too.
        fate = fate_of(who, partial(habit, caller))
        if fate.how != "served":
            fates[caller] = fate

    with ExitStack() as stack:
        everybody = [Caller(server.port) for _ in range(len(service.habits) + 1)]
        bystander, *line = [stack.enter_context(caller) for caller in everybody]
        if not column.one_after_another:
            tell(bystander, "bystander", service.meet)
        with fault:
            for caller, habit in zip(line, service.habits):
                tell(caller, habit.__name__, Caller.ring)
            if column.one_after_another:
                tell(bystander, "bystander", Caller.ring)
            for caller, habit in zip(line, service.habits):
                tell(caller, habit.__name__, habit)
                caller.hang_up()
        if column.one_after_another:
            tell(bystander, "bystander", service.greet)
        tell(bystander, "bystander", service.ask)
    return list(fates.values())


def fate_of_newcomer(server: Server, service: str) -> Fate:
    def call() -> None:
        with Caller(server.port) as caller:
            caller.ring()
            SERVICES[service].newcomer(caller)

    return fate_of("newcomer", call)


def complaints_of_newcomer(server: Server, service: str) -> list[str]:
    fate = fate_of_newcomer(server, service)
    return [] if fate.how == "served" else [str(fate)]


def start(trial: Trial, stage: Stage, folder: Path) -> Verdict:
    """The fault is there when the server starts: it ends, or it really serves."""
    path = folder / "strace"
    wrapper = [*strace(path, [trial.call], trial.inject), "-D"]  # -D: the server is our child.
    with Server(stage.command_for(trial.service), folder, wrapper) as server:
        listens = server.listens()
        if listens and (tracer := server.tracer()):
            os.kill(tracer, signal.SIGTERM)
        complaints = complaints_of_newcomer(server, trial.service) if listens else []
        if server.ended(0 if listens and not complaints else START):
            complaints = complaints_of_the_exit(server, trial.fault)
        elif not listens:
            complaints = ["it neither listens nor ends"]
        elif SERVE not in trial.row.answer:
            complaints.append("it runs as if nothing had happened")
        else:
            complaints += aftermath(server)
        return Verdict(complaints, bool(Log(path).fired()))


def day(trial: Trial, stage: Stage, folder: Path) -> Verdict:
    """The fault comes while callers of every habit talk. Then all must be as before."""
    path = folder / "strace"
    answer = trial.row.answer
    with Server(stage.command_for(trial.service), folder) as server:
        server.must_listen()
        descriptors = math.inf if trial.call == "close" else server.descriptors()
        tracer = Tracer(server.pid, path, [trial.call], trial.inject)
        fates = play_day(server, trial.service, stage.column, tracer)
        unserved = complaints_of_newcomer(server, trial.service)
        ended = server.ended(1 if unserved or answer == EXIT else 0)
        log = Log(path)
        fired = len(log.fired())
        if ended and EXIT in answer:
            return Verdict(complaints_of_the_exit(server, trial.fault), fired > 0)
        if ended:
            return Verdict([f"it {server.ending()}"], fired > 0)
        if answer == EXIT:
            return Verdict(["it goes on with an error that cannot heal"], fired > 0)

        if fired and not log.hit_a_caller():
            answer = SERVE
        possible = fired + (log.cut_off if trial.occurrence.endswith("+") else 0)
        complaints = complaints_of_callers(answer, fates, possible) + unserved
        complaints += [f"it closes descriptor {number} again" for number in log.closed_again()]
        too_few = log.calls()[trial.call] < trial.first
        return Verdict(complaints + aftermath(server, descriptors), fired > 0, too_few)


def shortage(trial: Trial, stage: Stage, folder: Path) -> Verdict:
    """accept() fails for a second, then it heals. No spin, no flood of log lines, nobody lost."""
    path = folder / "strace"
    service = SERVICES[trial.service]
    with Server(stage.command_for(trial.service), folder) as server:
        server.must_listen()
        descriptors = server.descriptors()
        gone, bystander, waiting = (Caller(server.port) for _ in range(3))
        with gone, bystander, waiting:
            if not stage.column.one_after_another:
                service.meet(bystander)
            with Tracer(server.pid, path, [trial.call], trial.inject):
                # An accept() that was under way when strace came is not touched: it gets this one.
                gone.ring()
                gone.reset()
                waiting.ring()
                load = server.load(SHORTAGE)
                lines = len(server.errors().splitlines())
                if not stage.column.one_after_another:
                    service.ask(bystander)
            fate = fate_of("waiting caller", partial(service.newcomer, waiting))
        complaints = [] if fate.how in ("served", "dropped") else [str(fate)]
        fired = len(Log(path).fired())
        if fired > CALLS_A_SECOND * SHORTAGE:
            complaints.append(f"{fired} calls in vain in {SHORTAGE} s, and {load:.0%} of a core")
        if lines > SHORTAGE + LINES:
            complaints.append(f"{lines} lines in the log in {SHORTAGE} s")
        complaints += complaints_of_newcomer(server, trial.service)
        return Verdict(complaints + aftermath(server, descriptors), fired > 0)


def sigterm(trial: Trial, stage: Stage, folder: Path) -> Verdict:
    """SIGTERM comes while the call is delayed. It must not be lost."""
    path = folder / "strace"
    with Server(stage.command_for(trial.service), folder) as server:
        server.must_listen()

        def delayed() -> bool:
            """strace holds it, and not only for the moment that it takes to look."""
            held = server.held()
            time.sleep(0.01)
            return any(map(is_held, held))

        with (
            Caller(server.port) as gone,
            Caller(server.port) as caller,
            Tracer(server.pid, path, [trial.call], trial.inject),
        ):
            gone.ring()
            gone.reset()  # Whoever logs this, writes.
            caller.ring()
            caller.say(b"0\n0\n0\n")
            fired = wait_until(delayed, START)
            server.process.send_signal(signal.SIGTERM)
            complaints = complaints_of_the_stop(server)
        return Verdict(complaints, fired and bool(Log(path).fired()))


def preload(trial: Trial, stage: Stage, folder: Path) -> Verdict:
    """A library between the server and libc plays the fault, from the first caller to the last."""
    report = folder / "report"
    value = f"{trial.fault}={trial.occurrence}" if trial.occurrence else trial.fault
    library = folder / "shim.so"  # LD_PRELOAD takes no name with a space in it.
    library.symlink_to(Path(stage.preload or "").resolve())
    environment = {"LD_PRELOAD": str(library), "FAULT": value, "FAULT_REPORT": str(report)}
    with Server(stage.command_for(trial.service), folder, environment=environment) as server:
        server.must_listen()
        descriptors = server.descriptors()
        fates = play_day(server, trial.service, stage.column, nullcontext())
        fates += [fate_of_newcomer(server, trial.service)]
        reported = report.read_text().splitlines() if report.exists() else []
        fates = [fate for fate in fates if fate.how != "served"]
        complaints = complaints_of_callers(trial.row.answer, fates, len(reported))
        complaints += [line for line in reported if line.startswith("second close")]
        return Verdict(complaints + aftermath(server, descriptors), bool(reported))


SCENES: dict[Scene, Callable[[Trial, Stage, Path], Verdict]] = {
    Scene.START: start,
    Scene.DAY: day,
    Scene.SHORTAGE: shortage,
    Scene.SIGTERM: sigterm,
    Scene.PRELOAD: preload,
}


def play(trial: Trial, stage: Stage) -> Verdict:
    """A fault that never came has proved nothing: a server may have been late with its call. Never
    in three days is bad, but where the server did not make the call so often: how often may depend
    on who was quicker. So it is with memory: when the fortieth allocation is to fail, a server that
    makes thirty has answered all there is."""
    more_than_all = trial.fault == "malloc" and trial.occurrence != "1"
    for _ in range(1 if more_than_all else 3):
        with TemporaryDirectory(prefix="faults-") as folder:
            try:
                verdict = SCENES[trial.row.scene](trial, stage, Path(folder))
            except Unexpected as error:
                return Verdict([str(error)])
        if verdict.fired:
            return verdict
    if more_than_all or verdict.too_few:
        return verdict
    return Verdict([*verdict.complaints, "the fault never came"])


# ---- the rehearsal


@dataclass(frozen=True)
class Rehearsal:
    """How often a server makes each call, at the start and in a day without a fault."""

    at_start: dict[str, int]
    in_a_day: dict[str, int]

    def reaches(self, trial: Trial) -> bool:
        if trial.row.scene is Scene.PRELOAD:
            return True
        made = self.at_start if trial.row.scene is Scene.START else self.in_a_day
        return made.get(trial.call, 0) >= trial.first


def rehearse_start(stage: Stage, service: str, calls: set[str], folder: Path) -> dict[str, int]:
    path = folder / "start"
    with Server(stage.command_for(service), folder, [*strace(path, calls, ""), "-D"]) as server:
        server.must_listen()
        if complaints := aftermath(server):
            raise Unexpected("; ".join(complaints))
    return Log(path).calls()


def rehearse_day(stage: Stage, service: str, calls: set[str], folder: Path) -> dict[str, int]:
    path = folder / "day"
    with Server(stage.command_for(service), folder) as server:
        server.must_listen()
        descriptors = server.descriptors()
        fates = play_day(server, service, stage.column, Tracer(server.pid, path, calls, ""))
        complaints = [str(fate) for fate in fates] + complaints_of_newcomer(server, service)
        if complaints := complaints + aftermath(server, descriptors):
            raise Unexpected("; ".join(complaints))
    return Log(path).calls()


def rehearse(stage: Stage, service: str, rows: Sequence[Row]) -> Rehearsal:
    """A start and a day without a fault. Raises Unexpected where there is something to complain
    about."""
    at_start = {call for row in rows if row.scene is Scene.START for call in row.calls}
    in_a_day = {call for row in rows if row.scene is not Scene.START for call in row.calls}
    with TemporaryDirectory(prefix="faults-") as name:
        return Rehearsal(
            rehearse_start(stage, service, at_start, Path(name)),
            rehearse_day(stage, service, in_a_day - {"preload"}, Path(name)),
        )
