"""Lessons, steps and servers: found in the folders, listed nowhere by hand."""

import difflib
import re
import shlex
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

from doctor import ROOT, Stop

Choice = TypeVar("Choice")


class Server(NamedTuple):
    """A program that listens: a step of a lesson, or its Python twin."""

    lesson: str  # 01-blocking-socket
    source: Path  # a .cpp file, a step's folder, or twin.py

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def idea(self) -> str:
        """What its first line says: `// 01 blocking socket, step 4: one after another.`"""
        pages = sorted(self.source.glob("*.[ch]pp")) or [self.source]
        for page in filter(Path.is_file, pages):
            with page.open(encoding="utf-8", errors="replace") as text:
                found = re.match(r"// .*, step \d+: (.+?)\.?$", text.readline())
            if found:
                return found[1]
        return self.name.replace("_", " ")


class Lesson(NamedTuple):
    """A folder whose name is number and topic: 01-blocking-socket."""

    folder: Path

    @property
    def number(self) -> str:
        return self.folder.name.split("-")[0]

    @property
    def topic(self) -> str:
        return self.folder.name.split("-", 1)[1]

    @property
    def steps(self) -> list[Server]:
        found = [p for p in self.folder.glob("[0-9]*_*") if p.is_dir() or p.suffix == ".cpp"]
        found = [path for path in found if re.match("[0-9]+_", path.name)]  # and not a 9b_mine.cpp
        found.sort(key=lambda path: int(path.name.split("_")[0]))
        return [Server(self.folder.name, path) for path in found]

    @property
    def twin(self) -> Server:
        return Server(self.folder.name, self.folder / "twin.py")

    @property
    def server(self) -> Server:
        """The step that is called `server`; what stands behind it looks further."""
        return next(step for step in self.steps if step.name.endswith("_server"))


def lessons() -> list[Lesson]:
    every = [Lesson(folder) for folder in sorted((ROOT / "lessons").glob("[0-9][0-9]-*"))]
    there = [lesson for lesson in every if any(lesson.folder.glob("*_server*"))]
    if not there:
        raise Stop(f"there is no lesson in {ROOT}/lessons: this copy is not complete")
    return there


def choose(kind: str, said: str, names: dict[str, Choice]) -> Choice:
    """The one that goes by this name, or by a name that begins like it."""
    if said in names:
        return names[said]
    begins = {id(thing): thing for name, thing in names.items() if name.startswith(said)}
    if said and len(begins) == 1:
        return begins.popitem()[1]
    first: dict[int, str] = {}
    for name, thing in names.items():
        first.setdefault(id(thing), name)
    near = difflib.get_close_matches(said, names, 3, 0.4) or list(first.values())
    more = " and more" if len(near) > 24 else ""
    raise Stop(f"there is no {kind} '{said}'. There is: {', '.join(near[:24])}{more}", 2)


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """A converter for argparse: a whole number from lowest to highest."""

    def convert(said: str) -> int:
        if said.isascii() and said.isdigit() and len(said) <= len(str(highest)):
            if lowest <= int(said) <= highest:
                return int(said)
        raise ArgumentTypeError(f"{said[:20]!r} is no whole number from {lowest} to {highest}")

    return convert


def split_command(command: str) -> list[str]:
    """A command as a shell would split it."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Stop(f"'{command}' is no command: {error}", 2) from None


def find_lesson(said: str) -> Lesson:
    names = {}
    for lesson in lessons():
        number, topic = lesson.number, lesson.topic
        names.update(dict.fromkeys([lesson.folder.name, topic, number, str(int(number))], lesson))
    return choose("lesson", said, names)


def find_server(said: str) -> Server:
    """`01` is the lesson's final server, `01/4` its fourth step, `01/twin` its Python twin."""
    lesson_said, slash, step_said = said.rstrip("/").partition("/")
    lesson = find_lesson(lesson_said)
    if not slash:
        return lesson.server
    names = {}
    for step in lesson.steps:
        number, words = step.name.split("_", 1)
        names.update(dict.fromkeys([step.name, words, number], step))
    if lesson.twin.source.exists():
        names["twin"] = lesson.twin
    return choose(f"step of lesson {lesson.number} called", step_said, names)
