"""The exercises: found in their folders, described by their exercise.toml and README.md."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor import ROOT, Stop
from lessons import choose

try:
    import tomllib
except ImportError:  # lab itself must start on an older Python, to say what is missing
    tomllib = None  # type: ignore[assignment]

KINDS = ("complete", "fix", "extend", "predict")
CODE = re.compile(r"[a-z_]+(:[A-Za-z0-9-]+)?")


class Flaw(Exception):
    """What is wrong with a description, as a sentence for its author."""


@dataclass(frozen=True)
class Check:
    """One thing that a solution does. What it is stands in README.md: `- `name`: the promise.`"""

    id: str
    promise: str
    fail: str  # what is said of a solution that does not do it
    hints: list[str]  # questions, each more helpful than the one before
    needs: list[str] = field(default_factory=list)  # checks without which this one says nothing
    build: str = "plain"  # or tsan, asan: with which sanitizer the program runs


@dataclass(frozen=True)
class Mistake:
    """One plausible mistake: an edit of a correct design, and all that must go wrong with it."""

    id: str
    edits: list[tuple[str, str]]
    expect: dict[str, str]  # check -> outcome code, or several: reset|eof:early
    ask: str
    design: str = "server"
    if_source_has: str = ""  # only a program with these words can have made this mistake
    at_least: int = 1  # of so many runs it fails so often: where it is a matter of chance
    of: int = 1


@dataclass(frozen=True)
class Exercise:
    folder: Path
    title: str
    kind: str
    minutes: int
    teaches: list[str]  # the misconceptions that it breaks
    file: str  # the learner's
    starter: dict[str, str]  # how it fails as it is handed out
    checks: list[Check]
    mistakes: list[Mistake]
    steps: list[str]  # programs of the lesson that the checks start
    include: list[str]  # folders of headers, beside lessons/common
    seconds: float  # for one check

    @property
    def lesson(self) -> str:
        return self.folder.parent.name

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def id(self) -> str:
        return f"{self.lesson[:2]}/{self.name}"

    @property
    def learners_file(self) -> Path:
        return self.folder / self.file

    @property
    def solutions(self) -> Path:
        return self.folder.parents[2] / "solutions" / self.lesson / self.name

    @property
    def designs(self) -> dict[str, Path]:
        """The correct ones by name; the first bears the name of the learner's file."""
        first = self.solutions / self.file
        others = sorted(self.solutions.glob(f"*{first.suffix}"))
        return {path.stem: path for path in [first, *others]}

    @property
    def target(self) -> str:
        """The program of checks, as the build names it."""
        return f"exercises/{self.lesson[:2]}-{self.name}"

    def check(self, said: str) -> Check:
        return choose(
            f"check of {self.id} called", said, {check.id: check for check in self.checks}
        )


def promises(page: str) -> dict[str, str]:
    """The bullets `- `name`: what it has to do.`, which may go on in lines that are indented."""
    bullets = re.findall(r"^- `(\w+)`: (.*\n(?:  .*\n)*)", page, re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in bullets}


def load(folder: Path) -> Exercise:
    """Reads a description; raises Flaw where a word is missing or unknown."""
    if not tomllib:
        raise Stop("the exercises need Python 3.11 or newer")
    try:
        page = (folder / "README.md").read_text(encoding="utf-8")
        said = tomllib.loads((folder / "exercise.toml").read_text(encoding="utf-8"))
        return understand(folder, said, promises(page))
    except (OSError, ValueError, Flaw) as error:
        raise Stop(f"{folder.relative_to(ROOT)}/exercise.toml: {error}") from None


def understand(folder: Path, said: dict[str, Any], promised: dict[str, str]) -> Exercise:
    takes = Words("the exercise", said)
    file = takes.text("file", "answers.txt" if said.get("kind") == "predict" else "server.cpp")
    exercise = Exercise(
        folder=folder,
        title=takes.text("title"),
        kind=takes.text("kind"),
        minutes=takes.number("minutes"),
        teaches=takes.texts("teaches"),
        file=file,
        starter=takes.table("starter"),
        checks=[understand_check(words, promised) for words in takes.tables("check")],
        mistakes=[understand_mistake(words, file) for words in takes.tables("mistake")],
        steps=takes.texts("steps"),
        include=takes.texts("include"),
        seconds=takes.number("seconds", 10),
    )
    takes.done()
    if exercise.kind not in KINDS:
        raise Flaw(f'kind = "{exercise.kind}" is none of {", ".join(KINDS)}')
    return exercise


def understand_check(said: dict[str, Any], promised: dict[str, str]) -> Check:
    takes = Words(f"check {said.get('id')}", said)
    name = takes.text("id")
    check = Check(
        id=name,
        promise=promised.get(name, ""),
        fail=takes.text("fail"),
        hints=takes.texts("hints"),
        needs=takes.texts("needs"),
        build=takes.text("build", "plain"),
    )
    takes.done()
    return check


def understand_mistake(said: dict[str, Any], file: str) -> Mistake:
    takes = Words(f"mistake {said.get('id')}", said)
    edits = [Words("an edit", edit) for edit in takes.tables("edit")]
    kill = takes.table("kill")
    mistake = Mistake(
        id=takes.text("id"),
        edits=[(edit.text("find"), edit.text("replace")) for edit in edits],
        expect=takes.table("expect"),
        ask=takes.text("ask"),
        design=takes.text("design", Path(file).stem),
        if_source_has=takes.text("if_source_has", ""),
        at_least=int(kill.get("at_least", 1)),
        of=int(kill.get("of", 1)),
    )
    takes.done()
    return mistake


class Words:
    """The keys of a table, taken one by one; what is left over at the end is a typing error."""

    def __init__(self, of: str, said: dict[str, Any]) -> None:
        self.of = of
        self.said = dict(said)

    def take(self, key: str, default: Any, kind: type) -> Any:
        value = self.said.pop(key, default)
        if value is None:
            raise Flaw(f"{self.of} has no {key}")
        if not isinstance(value, kind):
            raise Flaw(f"{self.of}: {key} is a {type(value).__name__}, not a {kind.__name__}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return str(self.take(key, default, str))

    def number(self, key: str, default: int | None = None) -> int:
        return int(self.take(key, default, int))

    def texts(self, key: str) -> list[str]:
        return [str(one) for one in self.take(key, [], list)]

    def table(self, key: str) -> dict[str, str]:
        return {name: str(value) for name, value in self.take(key, {}, dict).items()}

    def tables(self, key: str) -> list[dict[str, Any]]:
        every = list(self.take(key, [], list))
        if not all(isinstance(one, dict) for one in every):
            raise Flaw(f"{self.of}: {key} is not a list of tables")
        return every

    def done(self) -> None:
        if self.said:
            raise Flaw(f"{self.of} has {', '.join(self.said)}, which means nothing here")


def exercises(root: Path = ROOT) -> list[Exercise]:
    return [load(path.parent) for path in sorted((root / "exercises").glob("*/*/exercise.toml"))]


def find(said: str) -> Exercise:
    names = {}
    for exercise in exercises():
        number = str(int(exercise.lesson[:2]))
        ways = [exercise.id, f"{number}/{exercise.name}", f"{exercise.lesson}/{exercise.name}"]
        names.update(dict.fromkeys([*ways, exercise.name], exercise))
    return choose("exercise", said.rstrip("/"), names)
