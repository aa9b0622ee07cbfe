#!/usr/bin/env python3
"""Check what each step of a lesson says about its headers. A step's folder holds a copy of every
header that it needs, so that it builds alone. A copy is the same as in the step before, unless the
first comment of main.cpp names the header as `Changed`, or as `New`. So a mistake that is
corrected in one step is corrected in all of them. Prints what is not so, one sentence a line.

    headers.py lessons/05-event-framework"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST = 150  # lines of a header


def complaints(lesson: Path) -> Iterator[str]:
    newest: dict[str, Path] = {}  # each header as the steps before have it
    for step in sorted(lesson.glob("[0-9]*_*/"), key=lambda path: int(path.name.split("_")[0])):
        says = {mark: named(step / "main.cpp", mark) for mark in ("New", "Changed")}
        found: dict[str, set[str]] = {"New": set(), "Changed": set()}
        for header in sorted(step.glob("*.hpp")):
            before = newest.get(header.name)
            if before is None:
                found["New"].add(header.name)
            elif before.read_bytes() != header.read_bytes():
                found["Changed"].add(header.name)
                if header.name not in says["Changed"]:
                    yield f"{step.name}/{header.name} is not the same as in {before.parent.name}"
            if len(header.read_text().splitlines()) > LONGEST:
                yield f"{step.name}/{header.name} has more than {LONGEST} lines"
            newest[header.name] = header
        for mark, names in found.items():
            for name in sorted(says[mark] - names):
                yield f"{step.name}/main.cpp names {name} as `{mark}`, and it is not"
        for name in sorted(found["New"] - says["New"]):
            yield f"{step.name}/main.cpp does not name {name} as `New`"


def named(program: Path, mark: str) -> set[str]:
    """The headers behind `// New` or `// Changed`, which may go on in the lines that follow."""
    lines = re.search(rf"^// {mark}  +(.*\n(?://   +.*\n)*)", program.read_text(), re.MULTILINE)
    return set(re.findall(r"\w+\.hpp", lines[1])) if lines else set()


if __name__ == "__main__":
    sentences = list(complaints(Path(sys.argv[1])))
    print("\n".join(sentences), end="\n" if sentences else "")
    sys.exit(1 if sentences else 0)
