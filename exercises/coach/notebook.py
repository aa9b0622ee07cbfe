"""What the coach remembers between two commands. All of it is in .lab/, and nobody else reads it."""

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from catalog import Exercise
from workshop import NOTES

BOOK = NOTES / "exercises"


def note(event: str, exercise: Exercise, **facts: Any) -> None:
    BOOK.mkdir(parents=True, exist_ok=True)
    told = {"at": round(time.time()), "event": event, "exercise": exercise.id, **facts}
    with (BOOK / "progress.jsonl").open("a") as book:
        book.write(json.dumps(told) + "\n")


def notes() -> list[dict[str, Any]]:
    """All that happened, the oldest first; a line that was cut short or spoilt is left out."""
    try:
        lines = (BOOK / "progress.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and {"event", "exercise"} <= said.keys():
                found.append(said)
    return found


def solved() -> set[str]:
    return {note["exercise"] for note in notes() if note.get("status") == "pass"}


def spoiled() -> set[str]:
    return {note["exercise"] for note in notes() if note["event"] == "spoil"}


def hints_given(exercise: Exercise, check: str) -> int:
    return sum(
        note["event"] == "hint" and note["exercise"] == exercise.id and note.get("check") == check
        for note in notes()
    )


def current(every: list[Exercise]) -> Exercise:
    """The one that was worked on last; else the first that is not solved."""
    known = {exercise.id: exercise for exercise in every}
    for event in reversed(notes()):
        if event["exercise"] in known:
            return known[event["exercise"]]
    return next_one(every) or every[0]


def next_one(every: list[Exercise], after: Optional[Exercise] = None) -> Optional[Exercise]:
    """The next that is not solved, in the order of the lessons."""
    start = every.index(after) + 1 if after else 0
    done = solved()
    return next((one for one in [*every[start:], *every[:start]] if one.id not in done), None)


def page(exercise: Exercise) -> Path:
    return BOOK / "last" / f"{exercise.id.replace('/', '-')}.json"


def keep(exercise: Exercise, report: dict[str, Any]) -> None:
    page(exercise).parent.mkdir(parents=True, exist_ok=True)
    page(exercise).write_text(json.dumps(report))


def last(exercise: Exercise) -> Optional[dict[str, Any]]:
    """The report that was kept; none where that is spoilt."""
    try:
        report: dict[str, Any] = json.loads(page(exercise).read_bytes())
        whole = report.keys() >= {"status", "recognised"} and all(
            check.keys() >= {"id", "status", "outcome", "fail", "promise", "sentence", "story"}
            for check in report["checks"]
        )
        return report if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def draft(text: bytes) -> Path:
    BOOK.mkdir(parents=True, exist_ok=True)
    file = BOOK / "draft"
    file.write_bytes(text)
    return file


def to_attic(exercise: Exercise) -> Path:
    """Moves away what the learner wrote; nothing in the attic is ever written over. A file that is
    moved need not be readable, need not be text, and may even be a folder."""
    moment = time.strftime("%Y-%m-%d-%H%M%S")
    folder = BOOK / "attic" / f"{exercise.id.replace('/', '-')}-{moment}"
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{exercise.id.replace('/', '-')}-{moment}-{number}")
    folder.mkdir(parents=True)
    return Path(shutil.move(exercise.learners_file, folder / exercise.file))
