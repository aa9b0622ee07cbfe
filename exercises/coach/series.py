"""Builds programs that are nearly the same, two hundred at a time: what they share is built once."""

import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

from catalog import Exercise
from doctor import ROOT, compiler, tool
from notebook import BOOK
from workbench import Bench

MISTAKES = BOOK / "mistakes"
INCLUDE = re.compile(r'^#include (?:<[\w./]+>|"([\w./]+)")$', re.MULTILINE)

QUICK_LINKER = ["-fuse-ld=gold"] if tool("ld.gold") else []


class Series(Bench):
    """The starter and the solution are programs of the build already, and other designs are built as
    a learner's file is, but for what only a debugger wants. Three of four programs are mistakes: for
    these the compiler reads the headers once for all exercises of a lesson. (A file that includes too
    little builds with them, so a correct one goes without.)"""

    def __init__(self, judges: Path, runs: int) -> None:
        super().__init__(judges, runs)
        self.patience = 3  # with many at once, the last one gets little of the machine
        self.folder = TemporaryDirectory(prefix="netsteps-headers-")
        self.reading = threading.Lock()

    def __exit__(self, kind: Optional[type], *more: object) -> None:
        super().__exit__(kind, *more)
        self.folder.cleanup()

    def build(self, exercise: Exercise, file: Path, kind: str = "plain") -> Path:
        made = made_by_meson(exercise).get(file)
        if made and kind == "plain" and is_newer(self.judges / made, file):
            return self.judges / made
        return super().build(exercise, file, kind)

    def compile(self, exercise: Exercise, file: Path, program: Path, flags: list[str]) -> None:
        flags = [*flags, "-g0", "-w", *QUICK_LINKER]
        if file.is_relative_to(MISTAKES):
            flags += ["-include", str(self.headers(exercise, flags))]
        super().compile(exercise, file, program, flags)

    def headers(self, exercise: Exercise, flags: list[str]) -> Path:
        """All that the designs of a lesson include, compiled. The compiler takes FILE.gch for FILE
        where that fits its flags."""
        sanitizers = [flag for flag in flags if "sanitize" in flag]
        alike = [exercise.lesson, *exercise.include, *sanitizers]
        file = Path(self.folder.name) / ("-".join(alike).replace("/", "-") + ".hpp")
        with self.reading:
            if not file.exists():
                file.write_text("\n".join(included(exercise)) + "\n", encoding="utf-8")
                self.run([*compiler(), *flags, "-x", "c++-header", str(file)], 120)
        return file


def made_by_meson(exercise: Exercise) -> dict[Path, str]:
    """The programs that the build makes beside the checks, by what they are made of."""
    made = {exercise.learners_file: "exercise", exercise.solutions / exercise.file: "solution"}
    return {
        file: f"{exercise.target}-{name}" for file, name in made.items() if file.suffix == ".cpp"
    }


def is_newer(program: Path, file: Path) -> bool:
    return program.exists() and program.stat().st_mtime > file.stat().st_mtime


def included(exercise: Exercise) -> list[str]:
    """The lines of a lesson's designs that include something which is there for this exercise."""
    folders = [ROOT / folder for folder in ("lessons/common", *exercise.include)]
    found = set()
    for path in exercise.solutions.parent.glob("*/*.cpp"):
        for line in INCLUDE.finditer(path.read_text(encoding="utf-8")):
            if not line[1] or any((folder / line[1]).exists() for folder in folders):
                found.add(line[0])
    return sorted(found)
