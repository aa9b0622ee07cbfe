"""The commands for exercises: what a learner types, and what they are told."""

import argparse
import contextlib
import json
import os
import shutil
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import notebook
import replaying
from authoring import verify
from catalog import Exercise, exercises, find
from doctor import ROOT, Stop
from judging import Outcome, recognise
from reports import junit, report, unbuilt
from series import made_by_meson
from starters import differing, record, starter
from telling import clean, fold, following, retold, told, told_mistakes, width
from watching import watch_file
from workbench import Bench, Hindered, Unbuildable, tidy_up
from workshop import build


def chosen(args: argparse.Namespace) -> Exercise:
    if args.exercise:
        return find(args.exercise)
    every = exercises()
    if not every:
        raise Stop("this copy of Netsteps has no exercises")
    return notebook.current(every)


def judges_for(every: list[Exercise], yes: bool, *more: str) -> Path:
    """The build folder, with the checks of these exercises in it and the programs they start."""
    targets = [exercise.target for exercise in every]
    targets += more
    targets += [f"lessons/{one.lesson}/{step}" for one in every for step in one.steps]
    return build("plain", yes, *dict.fromkeys(targets))


def work(exercise: Exercise) -> str:
    return exercise.learners_file.relative_to(ROOT).as_posix()


# Checking.


@contextlib.contextmanager
def no_verdict() -> Iterator[None]:
    """What keeps us from judging says nothing about the learner's file: exit code 4."""
    try:
        yield
    except Stop as stop:
        raise Stop(str(stop), 4 if stop.code in (1, 3) else stop.code) from None
    except BrokenPipeError:  # the reader of our output has gone
        raise
    except OSError as error:
        raise Stop(f"{reason(error)}. This is not the fault of your file", 4) from None


def reason(error: OSError) -> str:
    return f"{error.filename or 'this machine'}: {error.strerror or error}"


@no_verdict()
def check(args: argparse.Namespace) -> int:
    """try your solution of an exercise, and say what is wrong with it

    EXERCISE is 01/frames, or frames; without it, the one that you worked on last.
    Exit code: 0 all pass, 1 some fail, 3 does not build, 4 could not decide, 5 passes only sometimes.
    """
    wanted = exercises() if args.all else [chosen(args)]
    only = wanted[0].check(args.only).id if args.only and not args.all else ""
    quiet = args.json == "-" or args.junit == "-"
    with contextlib.redirect_stdout(sys.stderr) if quiet else contextlib.nullcontext():
        judges = judges_for(wanted, args.yes)
    reports = []
    with Bench(judges) as bench:
        for exercise in wanted:
            file = Path(args.file).resolve() if args.file else exercise.learners_file
            reports.append(try_file(bench, exercise, file, only, args.repeat))
            if not quiet:
                print(answer(exercise, reports[-1], whole=not only))
                print(end="\n" if args.all else "", flush=True)
    tidy_up()
    hand_out(args.json, lambda: json.dumps(reports if args.all else reports[0], indent=2) + "\n")
    hand_out(args.junit, lambda: junit(reports))
    return max(int(one["exit"]) for one in reports)


def hand_out(where: Optional[str], text: Callable[[], str]) -> None:
    if where == "-":
        print(text(), end="")
    elif where:
        Path(where).write_text(text(), encoding="utf-8")


def try_file(
    bench: Bench, exercise: Exercise, file: Path, only: str = "", repeat: int = 1
) -> dict[str, Any]:
    """Builds and judges, and writes down what came of it if it is the learner's own work."""
    own = file == exercise.learners_file
    source = source_of(exercise, file)
    try:
        runs = [
            bench.judge(exercise, file, *([only] if only else [])) for _ in range(max(1, repeat))
        ]
    except Unbuildable as error:
        result = unbuilt(exercise, str(error), hindered=isinstance(error, Hindered))
    else:
        result = sum_up(exercise, runs, source, only)
    if own:
        try:
            write_down(exercise, result, whole=not only)
        except OSError as error:
            complaint = f"{reason(error)}. So hint, why and progress do not know of this check"
            print(f"lab: {complaint}", file=sys.stderr)
    return result


def source_of(exercise: Exercise, file: Path) -> str:
    """What is to be judged, in whatever encoding it is; a word that is looked for is ASCII."""
    again = f" Your file as it was handed out: ./lab reset {exercise.id}"
    again = again if file == exercise.learners_file else ""
    if not file.is_file():
        is_there = "is not a file" if os.path.lexists(file) else "does not exist"
        raise Stop(f"{file} {is_there}.{again}", 2)
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError as error:
        raise Stop(f"{reason(error)}.{again}", 2) from None


def write_down(exercise: Exercise, result: dict[str, Any], whole: bool) -> None:
    """Only a verdict about the whole file counts as a try."""
    if whole and result["build"]["hindered"] is False:
        notebook.keep(exercise, result)
    if whole and result["status"] != "inconclusive":
        notebook.note("check", exercise, status=result["status"], recognised=result["recognised"])
    else:
        notebook.note("look", exercise)


def sum_up(exercise: Exercise, runs: list[list[Outcome]], source: str, only: str) -> dict[str, Any]:
    """The first run that shows a failure stands for all; a check that does both is flaky."""
    seen: dict[str, set[str]] = {}
    for one in (one for outcomes in runs for one in outcomes):
        seen.setdefault(one.check, set()).add(one.status)
    flaky = [name for name, statuses in seen.items() if {"pass", "fail"} <= statuses]
    worst = next((run for run in runs if any(one.status == "fail" for one in run)), runs[-1])
    found = [] if only else recognise(exercise, worst, source)
    return report(exercise, worst, found, flaky)


def answer(exercise: Exercise, result: dict[str, Any], whole: bool = True) -> str:
    if result["status"] == "unbuilt":
        lines = [
            f"{exercise.id}  does not build. The first error:\n",
            clean(result["build"]["error"]),
        ]
        return "\n".join([*lines, "", following(f"edit {work(exercise)}", "./lab check")])
    if not result["build"]["ok"]:
        cause = "\n".join(fold(line) for line in clean(result["build"]["error"]).splitlines())
        text = f"{exercise.id}  could not be built, and this is not your fault:\n\n{cause}"
        return f"{text}\n\n{following('./lab check')}"
    text = told(exercise, result)
    if result["flaky"]:
        text += (
            f"\nNot always: {', '.join(result['flaky'])} passed in some runs and failed in others."
        )
    failed = [check for check in result["checks"] if check["status"] == "fail"]
    shown = [check["id"] for check in failed if check["outcome"] != "unanswered"]
    if shown:
        return f"{text}\n" + following("./lab hint", "./lab why", f"./lab replay {shown[0]}")
    if failed:
        return f"{text}\n" + following(f"edit {work(exercise)}", "./lab check", "./lab hint")
    if result["status"] == "inconclusive":
        return f"{text}\n{following('./lab check')}"
    if not whole:
        return f"{text}\n{following('./lab check')}"
    return f"{text} Well done.\n{after(exercise)}"


def after(exercise: Exercise) -> str:
    """Once all checks pass: compare, and go on."""
    upcoming = notebook.next_one(exercises(), exercise)
    go_on = (
        f"read exercises/{upcoming.lesson}/{upcoming.name}/README.md" if upcoming else "./lab list"
    )
    return following(f"./lab solution {exercise.id}", go_on)


def watch(args: argparse.Namespace) -> int:
    """check anew whenever you save; h hint, w why, r check, x reset, l list, q quit"""
    exercise = chosen(args)
    judges = judges_for([exercise], args.yes)

    def try_it() -> str:
        with Bench(judges) as bench:
            return answer(exercise, try_file(bench, exercise, exercise.learners_file))

    named = argparse.Namespace(exercise=exercise.id, check="", yes=False)
    keys: dict[str, tuple[str, Callable[[], object]]] = {
        "h": ("hint", lambda: hint(named)),
        "w": ("why", lambda: why(named)),
        "r": ("check", lambda: print(try_it())),
        "x": ("reset", lambda: reset(named)),
        "l": ("list", lambda: progress(named)),
    }
    return watch_file(exercise.learners_file, lambda: print(try_it()), keys)


# Help, from a question to the solution.


def last_report(exercise: Exercise) -> dict[str, Any]:
    result = notebook.last(exercise)
    if not result:
        raise Stop(f"{exercise.id} has not been checked yet. Type: ./lab check {exercise.id}", 2)
    return result


def failing(exercise: Exercise, said: str = "") -> dict[str, Any]:
    """What the last check says of one that fails: of the first, if none is named."""
    result = last_report(exercise)
    if result["status"] == "unbuilt":
        raise Stop(f"{exercise.id} did not build. First: ./lab check {exercise.id}", 2)
    failed: list[dict[str, Any]]
    failed = [check for check in result["checks"] if check["status"] == "fail"]
    if said:
        name = exercise.check(said).id
        failed = [check for check in failed if check["id"] == name]
    if not failed:
        raise Stop(f"{said or exercise.id} did not fail when it was last checked: ./lab check", 2)
    wrong = [check for check in failed if check["outcome"] != "unanswered"]
    return (wrong or failed)[0]


def hint(args: argparse.Namespace) -> int:
    """a question that leads on; ask again for the next one"""
    exercise = chosen(args)
    name = failing(exercise)["id"]
    ladder = exercise.check(name).hints
    given = notebook.hints_given(exercise, name)
    number = min(given, len(ladder) - 1)
    if given == 0:
        print(told_mistakes(exercise, last_report(exercise)))
    print(f"{exercise.id}  {name}, hint {number + 1} of {len(ladder)}\n\n{fold(ladder[number])}\n")
    if given < len(ladder):
        notebook.note("hint", exercise, check=name)
    more = "./lab hint" if number + 1 < len(ladder) else f"./lab solution {exercise.id} --spoil"
    print(following(f"edit {work(exercise)}", "./lab check", more))
    return 0


def why(args: argparse.Namespace) -> int:
    """the whole story of the last failure, and what the system showed about it"""
    exercise = chosen(args)
    found = failing(exercise, args.check)
    print(fold(f"{exercise.id}  {found['id']}: {found['fail']}", "", "  "))
    print(f"\n{fold(clean(found['sentence']) + '  (' + found['outcome'] + ')', '  ')}\n")
    print(retold(found["story"]) + "\n")
    asked = "You are asked" if exercise.kind == "predict" else "A solution does this"
    print(fold(f"{asked}: {found['promise']}.", "  ") + "\n")
    print(following(f"./lab replay {found['id']}", "./lab hint", f"edit {work(exercise)}"))
    return 0


def replay(args: argparse.Namespace) -> int:
    """start the same server, stop before the moment that fails, and let you be the caller"""
    exercise = chosen(args)
    named = exercise.check(args.check) if args.check else exercise.check(failing(exercise)["id"])
    judges = judges_for([exercise], args.yes)
    with Bench(judges) as bench:
        try:
            program = bench.build(exercise, exercise.learners_file, named.build)
            [outcome] = bench.judge(exercise, exercise.learners_file, named.id)
        except Unbuildable as error:
            code = 4 if isinstance(error, Hindered) else 3
            raise Stop(f"{exercise.id} does not build:\n{error}", code) from None
        if outcome.status != "fail":
            raise Stop(f"{named.id} does not fail: there is nothing to replay", 2)
        command = bench.command(exercise, named, program)
    replaying.play(command, outcome)
    print(following(f"edit {work(exercise)}", "./lab check", "./lab hint"))
    return 0


def solution(args: argparse.Namespace) -> int:
    """where the solutions are, and why they are as they are; after you have one, or with --spoil"""
    exercise = chosen(args)
    if exercise.id not in notebook.solved() | notebook.spoiled():
        if not args.spoil:
            raise Stop(
                f"{exercise.id} is not solved yet. A hint: ./lab hint {exercise.id}. "
                f"To see the solution all the same: ./lab solution {exercise.id} --spoil",
                1,
            )
        notebook.note("spoil", exercise)
    where = exercise.solutions.relative_to(ROOT)
    print(f"{exercise.id}  {exercise.title}\n\n  read     {where}/README.md")
    for path in exercise.designs.values():
        print(f"  compare  {where}/{path.name}")
        if path.suffix == ".cpp":
            print(fold(idea_of(path), " " * 11))
    print(f"\nNext:  diff -u {work(exercise)} {where}/{exercise.file}")
    return 0


def idea_of(path: Path) -> str:
    """What a solution's first comment says behind the colon."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    comment = takewhile(lambda line: line.startswith("//"), lines)
    return " ".join(line.removeprefix("//").strip() for line in comment).partition(": ")[2]


def reset(args: argparse.Namespace) -> int:
    """your file as it was handed out; what you wrote is kept"""
    exercise = chosen(args)
    file = exercise.learners_file
    handed_out = starter(exercise)
    if file.is_file() and content(file) == handed_out:
        print(f"{work(exercise)} is as it was handed out.")
    else:
        fresh = notebook.draft(handed_out)  # first: a full disk shows itself before a file is moved
        if os.path.lexists(file):
            kept = notebook.to_attic(exercise).relative_to(ROOT)
            print(f"What you wrote is kept in\n  {kept}")
        shutil.move(fresh, file)
        notebook.note("reset", exercise)
        print(f"{work(exercise)} is as it was handed out again.")
    print(following(f"edit {work(exercise)}", "./lab check"))
    return 0


def content(file: Path) -> Optional[bytes]:
    """None where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return None


# What there is, and where you are.


def listing(lesson: str) -> list[str]:
    """The lines of `lab list` for the exercises of a lesson."""
    return [
        f"  {exercise.id:<20} {exercise.kind}: {exercise.title[0].lower()}{exercise.title[1:]}"
        for exercise in exercises()
        if exercise.lesson == lesson
    ]


def progress(args: argparse.Namespace) -> int:
    """which exercises you have solved, with how many tries and hints"""
    every = exercises()
    done, spoiled, events = notebook.solved(), notebook.spoiled(), notebook.notes()
    for exercise in every:
        mine = [event["event"] for event in events if event["exercise"] == exercise.id]
        tries, hints = mine.count("check"), mine.count("hint")
        mark = "solved" if exercise.id in done else "begun" if tries else ""
        counts = f"{tries} tries, {hints} hints" if tries else f"{exercise.minutes} min"
        seen = ", solution seen" if exercise.id in spoiled else ""
        print(f"  {mark:<7} {exercise.id:<20} {counts}{seen}"[: width()])
    print(f"\n{len(done & {one.id for one in every})} of {len(every)} solved.")
    upcoming = notebook.next_one(every)
    if upcoming:
        folder = upcoming.folder.relative_to(ROOT)
        print(following(f"read {folder}/README.md", f"./lab check {upcoming.id}"))
    return 0


# For authors.


def author(args: argparse.Namespace) -> int:
    """for those who write exercises: prove that the checks of an exercise are right

    verify: the starter fails as declared, every correct design passes, every mistake fails as
    declared and in no other way, and every check is failed by some mistake.
    starters: record the learners' files as they are now, for `lab reset` to give them back; with
    --check, say which are not as they were recorded."""
    if args.what == "starters":
        return hand_over(args.check)
    wanted = [find(said) for said in args.exercises] or exercises()
    made = [program for one in wanted for program in made_by_meson(one).values()]
    judges = Path(args.judges).resolve() if args.judges else judges_for(wanted, args.yes, *made)
    return verify(wanted, judges, args.repeat, args.stress, args.fresh, args.short)


def hand_over(only_look: bool) -> int:
    if not only_look:
        record(exercises())
        print(f"Recorded in exercises/starters.json: {len(exercises())} files.")
    elif others := differing(exercises()):
        raise Stop(f"handed out otherwise: {', '.join(others)}. To record: ./lab author starters")
    return 0


def add_commands(add: Callable[..., Any]) -> None:
    """Into lab's grammar."""
    for do in (check, watch, hint, why, replay, solution, progress, reset):
        command = add(do, builds=do in (check, watch, replay))
        if do in (why, replay):
            command.add_argument("check", nargs="?", default="", metavar="CHECK", help="of these")
            command.add_argument("--exercise", default="", help="(default: the last one)")
        elif do is not progress:
            command.add_argument(
                "exercise", nargs="?", default="", metavar="EXERCISE", help="01/frames, frames"
            )
        if do is check:
            command.add_argument("--only", metavar="CHECK", help="this check alone")
            command.add_argument("--all", action="store_true", help="all exercises")
            command.add_argument("--file", metavar="FILE", help="judge this file, not yours")
            command.add_argument("--repeat", type=int, default=1, metavar="N", help="N times")
            command.add_argument("--json", metavar="FILE", help="the verdict as data; - is here")
            command.add_argument("--junit", metavar="FILE", help="the same as JUnit's XML")
        if do is solution:
            command.add_argument("--spoil", action="store_true", help="though it is not solved")
    command = add(author)
    command.add_argument("what", choices=["verify", "starters"])
    command.add_argument("exercises", nargs="*", metavar="EXERCISE", help="these (default: all)")
    command.add_argument("--repeat", type=int, default=1, metavar="N", help="each program N times")
    command.add_argument("--stress", action="store_true", help="with all processors busy")
    command.add_argument("--fresh", action="store_true", help="also what is known to be right")
    command.add_argument("--short", action="store_true", help="enough to fail each check once")
    command.add_argument("--check", action="store_true", help="starters: look, and do not write")
    command.add_argument("--judges", metavar="DIR", help="the build folder that has the checks")
