"""Checks are checked: what is right passes, and every mistake fails as it was foretold."""

import hashlib
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from catalog import CODE, Exercise, Mistake, promises
from doctor import ROOT
from judging import Outcome, fingerprint, matches
from notebook import BOOK
from telling import fold
from series import MISTAKES, Series
from workbench import CORES, Bench, Unbuildable, headers, tidy_up, version

SLOWEST_PASS = 3.0  # seconds that a check of something correct may take
LIKE_EACH_OTHER = 2  # mistakes that may fail in the same way


@dataclass
class Trial:
    """A program, and how it must fare: a check that is not named in `expect` does not fail."""

    name: str
    file: Path
    expect: dict[str, str]
    times: int = 1
    at_least: int = 1
    runs: list[list[Outcome]] = field(default_factory=list)
    unbuildable: str = ""

    def hits(self) -> int:
        return sum(matches(self.expect, fingerprint(run)) for run in self.runs)

    def fault(self) -> str:
        """Empty, or what is not as declared."""
        if self.unbuildable:
            return f"{self.name}: does not build: {self.unbuildable}"
        if self.hits() >= self.at_least:
            return ""
        odd = next(run for run in self.runs if not matches(self.expect, fingerprint(run)))
        seen = fingerprint(odd)
        undecided = [f"{one.check}: {one.sentence}" for one in odd if one.status == "inconclusive"]
        text = f"{self.name}: as declared in {self.hits()} of {len(self.runs)} runs"
        text += f" (need {self.at_least}). Declared: {spelled(self.expect)}. Seen: {spelled(seen)}."
        for one in odd:
            if one.status == "fail" and one.outcome not in self.expect.get(one.check, "").split(
                "|"
            ):
                text += f"\n        {one.check}: {one.sentence}"
        return "\n        ".join([text, *undecided])


def spelled(failures: dict[str, str]) -> str:
    return ", ".join(f"{check} = {code}" for check, code in failures.items()) or "all pass"


def verify(
    wanted: list[Exercise], judges: Path, repeat: int, stress: bool, fresh: bool, short: bool
) -> int:
    """Prints a table for each exercise, and what is wrong with it. 0 when nothing is."""
    began = time.monotonic()
    at_once = (3 if stress else 6) * CORES
    anew = fresh or stress or repeat > 1
    with Series(judges, at_once) as bench, ThreadPoolExecutor(at_once) as pool:
        try:
            with busy(stress):
                begun = [begin(bench, pool, exercise, repeat, anew, short) for exercise in wanted]
                for case in begun:
                    finish(case)
            for case in begun:  # now that nothing else runs
                conclude(bench, case, short, lenient=repeat == 1 and not stress)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    tidy_up()
    print(count(wanted, time.monotonic() - began))
    faults = [f"{case.exercise.id}, {fault}" for case in begun for fault in case.faults]
    print("\n".join(["Faults:", *faults]) if faults else "All as declared.")
    return 1 if faults else 0


@dataclass
class Case:
    """An exercise that is being verified."""

    exercise: Exercise
    stamp: Path  # is there when it was found right as it is
    trials: list[Trial] = field(default_factory=list)
    running: list[Future[None]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def begin(
    bench: Bench,
    pool: ThreadPoolExecutor,
    exercise: Exercise,
    repeat: int,
    anew: bool,
    short: bool,
) -> Case:
    case = Case(exercise, BOOK / "verified" / seal(exercise, bench.judges))
    if case.stamp.exists() and not anew:
        return case
    case.faults = list(flaws(exercise, bench))
    try:
        mistakes = enough(exercise.mistakes) if short else exercise.mistakes
        case.trials = list(trials_of(exercise, repeat, mistakes))
    except ValueError as error:
        case.faults.append(str(error))
    case.running = [pool.submit(run, bench, exercise, trial, repeat) for trial in case.trials]
    return case


def finish(case: Case) -> None:
    if not case.trials and not case.faults:
        print(f"{case.exercise.id}  is as it was when it was found right", flush=True)
        return
    for one in case.running:
        one.result()
    print(table(case.exercise, case.trials) + "\n", flush=True)


def conclude(bench: Bench, case: Case, short: bool, lenient: bool) -> None:
    """A dozen programs shared the machine. Who is lenient judges what went wrong again, alone."""
    for trial in case.trials:
        if trial.fault() and trial.runs and lenient:
            first, trial.runs = trial.fault(), []
            run(bench, case.exercise, trial, 1)
            if not trial.fault():
                print(f"{case.exercise.id}, as declared when it runs alone, before: {first}")
        if fault := trial.fault():
            case.faults.append(fault)
    case.faults += slow(bench, case)
    if not case.faults and not short:
        case.stamp.parent.mkdir(parents=True, exist_ok=True)
        case.stamp.touch()


def run(bench: Bench, exercise: Exercise, trial: Trial, repeat: int) -> None:
    try:
        trial.runs = [bench.judge(exercise, trial.file) for _ in range(min(repeat, trial.times))]
        while len(trial.runs) < trial.times:
            trial.runs.append(once_more(bench, exercise, trial))
    except Unbuildable as error:
        trial.unbuildable = str(error)


def once_more(bench: Bench, exercise: Exercise, trial: Trial) -> list[Outcome]:
    """Where chance decides, it decides in checks that may fail; the others fare as they did."""
    again = {one.check: one for one in bench.judge(exercise, trial.file, *trial.expect)}
    return [again.get(one.check, one) for one in trial.runs[0]]


# What has to hold before anything runs.


def flaws(exercise: Exercise, bench: Bench) -> Iterator[str]:
    known = [check.id for check in exercise.checks]
    page = (exercise.folder / "README.md").read_text(encoding="utf-8")
    in_code = bench.run([str(bench.judges / exercise.target), "--list"], 30)[1].split()
    if sorted(in_code) != sorted(known):
        yield f"checks.cpp has {', '.join(in_code)}; exercise.toml has {', '.join(known)}"
    for name in promises(page):
        if name not in known:
            yield f"README.md promises {name}, which no check demands"
    for number, check in enumerate(exercise.checks):
        if not check.promise:
            yield f"{check.id}: README.md has no line `- `{check.id}`: what it has to do.`"
        if not check.hints or not check.hints[0].rstrip(".").endswith("?"):
            yield f"{check.id}: needs a hint, and the first one is a question"
        if not set(check.needs) <= set(known[:number]):
            yield f"{check.id}: needs what does not stand before it: {', '.join(check.needs)}"
        if not any(check.id in mistake.expect for mistake in exercise.mistakes):
            yield f"{check.id}: no mistake fails it, so nobody knows what it is good for"
    for mistake in exercise.mistakes:
        yield from flaws_of_mistake(exercise, mistake, known)
    if exercise.kind != "predict":
        if len(exercise.designs) < 2:
            yield f"has {len(exercise.designs)} correct design; two show that the checks are fair"
        if len(exercise.mistakes) < 6:
            yield f"has {len(exercise.mistakes)} mistakes; six show that the checks are sharp"
    if not (exercise.solutions / "README.md").is_file():
        yield "the solution has no README.md that says why this way, and what else would do"


def flaws_of_mistake(exercise: Exercise, mistake: Mistake, known: list[str]) -> Iterator[str]:
    if not mistake.ask.endswith("?"):
        yield f"{mistake.id}: what it asks is no question"
    if not mistake.expect:
        yield f"{mistake.id}: expects no check to fail"
    for check, code in mistake.expect.items():
        if check not in known or not all(map(CODE.fullmatch, code.split("|"))):
            yield f"{mistake.id}: expects {check} = {code}, and there is no such thing"
    same = [one.id for one in exercise.mistakes if one.expect == mistake.expect]
    if len(same) > LIKE_EACH_OTHER and same[0] == mistake.id:
        yield f"nobody can tell these apart: {', '.join(same)}"
    lines = [line.strip() for find, _ in mistake.edits for line in find.splitlines()]
    if any(len(line) > 20 and line in mistake.ask for line in lines):
        yield f"{mistake.id}: its question gives the code away"


# The programs.


def enough(mistakes: list[Mistake]) -> list[Mistake]:
    """So many that every check which a mistake surely fails is failed by one of these."""
    chosen: list[Mistake] = []
    failed: set[str] = set()

    def new(mistake: Mistake) -> set[str]:
        return {check for check, code in mistake.expect.items() if "pass" not in code} - failed

    while mistakes and new(best := max(mistakes, key=lambda mistake: len(new(mistake)))):
        chosen.append(best)
        failed |= new(best)
    return chosen


def trials_of(exercise: Exercise, repeat: int, mistakes: list[Mistake]) -> Iterator[Trial]:
    yield Trial("the starter", exercise.learners_file, exercise.starter, repeat, repeat)
    for name, path in exercise.designs.items():
        yield Trial(f"design {name}", path, {}, repeat, repeat)
    for mistake in mistakes:
        path = with_mistake(exercise, mistake)
        chance = mistake.of > 1
        times = mistake.of if chance else repeat
        yield Trial(mistake.id, path, mistake.expect, times, mistake.at_least if chance else repeat)


def with_mistake(exercise: Exercise, mistake: Mistake) -> Path:
    """The design with the mistake in it, as a file. Each place to edit must be there once."""
    if mistake.design not in exercise.designs:
        raise ValueError(f"{mistake.id}: there is no design {mistake.design}")
    text = exercise.designs[mistake.design].read_text(encoding="utf-8")
    for find, replace in mistake.edits:
        if text.count(find) != 1:
            raise ValueError(
                f"{mistake.id}: stands {text.count(find)} times in {mistake.design}, want once:\n{find}"
            )
        text = text.replace(find, replace)
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    path = MISTAKES / name / exercise.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def seal(exercise: Exercise, judges: Path) -> str:
    """Changes when anything changes that decides how the programs fare."""
    parts = [version().encode(), headers(ROOT / "lessons/common").encode()]
    parts += [headers(ROOT / folder).encode() for folder in exercise.include]
    programs = [exercise.target, *(f"lessons/{exercise.lesson}/{step}" for step in exercise.steps)]
    files = [judges / program for program in programs]
    files += [path for path in sorted(exercise.folder.iterdir()) if path.is_file()]
    files += [path for path in sorted(exercise.solutions.iterdir()) if path.is_file()]
    files += sorted(Path(__file__).parent.glob("*.py"))
    parts += [path.read_bytes() for path in files if path.exists()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@contextmanager
def busy(stress: bool) -> Iterator[None]:
    """Three programs for each processor that want all of it."""
    loop = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(loop) for _ in range(3 * CORES if stress else 0)]
    try:
        yield
    finally:
        for one in loops:
            one.kill()
            one.wait()


# What is printed.


def table(exercise: Exercise, trials: list[Trial]) -> str:
    lines = [f"{exercise.id}  {exercise.kind}, {len(exercise.checks)} checks"]
    widest = max((len(trial.name) for trial in trials), default=0)
    for trial in trials:
        marks = " ".join(mark(trial, check.id) for check in exercise.checks)
        result = "as declared" if not trial.fault() else "NOT AS DECLARED"
        lines.append(f"  {trial.name:<{widest}}  {marks}  {trial.hits()}/{trial.times} {result}")
    return "\n".join(lines)


def mark(trial: Trial, check: str) -> str:
    """. it passes, x it fails, - it is not run, ? it differs from run to run."""
    marks = {"pass": ".", "fail": "x", "skipped": "-", "inconclusive": "!"}
    seen = {marks[one.status] for run in trial.runs for one in run if one.check == check}
    return seen.pop() if len(seen) == 1 else "?"


def slow(bench: Bench, case: Case) -> Iterator[str]:
    """Checks of something correct that take too long, even at the best of several attempts: most of
    them share the machine with a dozen others."""
    for trial in case.trials:
        for check in case.exercise.checks:
            seconds = [one.seconds for run in trial.runs for one in run if one.check == check.id]
            tries = 0 if trial.expect else 3
            while tries and seconds and min(seconds) > SLOWEST_PASS:
                seconds.append(bench.judge(case.exercise, trial.file, check.id)[0].seconds)
                tries -= 1
            if not trial.expect and seconds and min(seconds) > SLOWEST_PASS:
                yield f"{trial.name}: {check.id} took {min(seconds):.1f} s, and it passes"


def count(wanted: list[Exercise], seconds: float) -> str:
    checks = sum(len(exercise.checks) for exercise in wanted)
    designs = sum(len(exercise.designs) for exercise in wanted)
    mistakes = sum(len(exercise.mistakes) for exercise in wanted)
    parts = [some(len(wanted), "exercise"), some(checks, "check")]
    parts += [some(designs, "correct design"), some(mistakes, "mistake")]
    return fold(f"{', '.join(parts)}, in {seconds:.0f} s.", "")


def some(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
