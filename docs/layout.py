#!/usr/bin/env python3
"""Check what the project promises about its own shape: every link leads somewhere, every lesson has
the same files, its README.md links to all of them, a step is one small step from the one before,
and docs/system-calls.md explains every call that a lesson makes. Prints what is broken, one sentence a line."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from definitions import Complaint, read
from weave import pages

NEW_LINES = 60  # of code, against the step before
LINK = re.compile(r"(?:\]\(|^\s*\[[^\]]+\]:\s*)<?([^)>\s]+)")  # [text](target), [name]: target


def broken(root: Path) -> Iterator[str]:
    yield from broken_links(root)
    for lesson in sorted((root / "lessons").glob("[0-9][0-9]-*")):
        yield from missing_files(root, lesson)
        yield from unlinked_files(root, lesson)
        yield from steps_out_of_step(root, lesson)
    yield from unexplained_calls(root)


# Links.


def broken_links(root: Path) -> Iterator[str]:
    for page in pages(root):
        for number, target in links(page):
            name, _, anchor = unquote(target).partition("#")
            goal = (page.parent / name).resolve() if name else page
            place = f"{page.relative_to(root)}:{number}"
            if not goal.exists():
                yield f"{place}: the link {target} leads nowhere"
            elif not goal.is_relative_to(root):
                yield f"{place}: the link {target} leads out of the project"
            elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
                yield f"{place}: {goal.name} has no heading for the link {target}"


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Links into the project; not what stands in a fence or between backticks."""
    for number, line in prose(page):
        for found in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            if not re.match(r"\w+:", found[1]):
                yield number, found[1]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    fence = ""
    for number, line in enumerate(read(page).split("\n"), 1):
        mark = re.match(r"\s*(`{3,}|~{3,})(.*)", line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            yield number, line


def anchors(page: Path) -> set[str]:
    """What a forge makes of the headings, and anchors written by hand."""
    found: list[str] = []
    for _, line in prose(page):
        found += re.findall(r'<a (?:id|name)="([^"]+)"', line)
        if heading := re.match(r"#{1,6}\s+(.*?)\s*#*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


# Lessons.


def missing_files(root: Path, lesson: Path) -> Iterator[str]:
    client = root / "clients" / f"{lesson.name.replace('-', '_')}.py"
    for name in ["README.md", "meson.build", "test.cpp", "twin.py"]:
        if not (lesson / name).is_file():
            yield f"{lesson.relative_to(root)}: every lesson has a {name}, this one has none"
    if not client.is_file():
        yield f"{lesson.relative_to(root)}: has no client {client.relative_to(root)}"


def unlinked_files(root: Path, lesson: Path) -> Iterator[str]:
    page = lesson / "README.md"
    if not page.is_file():
        return
    linked = {(lesson / unquote(target).partition("#")[0]).resolve() for _, target in links(page)}
    for file in sorted(lesson.iterdir()):
        if file != page and file.name[0] not in "._" and file.resolve() not in linked:
            yield f"{page.relative_to(root)}: has no link to {file.name}"


def steps_out_of_step(root: Path, lesson: Path) -> Iterator[str]:
    """Numbers without a gap, a title in the first line, and no more than one idea's worth of code."""
    steps = sorted(lesson.glob("[0-9]*_*"), key=number_of)
    if [number_of(step) for step in steps] != list(range(1, len(steps) + 1)) or not steps:
        names = ", ".join(step.name for step in steps) or "none"
        yield f"{lesson.relative_to(root)}: steps count 1, 2, 3 ... without a gap; here: {names}"
    for before, step in zip([None, *steps], steps):
        if step.suffix != ".cpp":
            continue  # a folder: a small library, whose README says what is in it
        title = f"// {lesson.name.replace('-', ' ')}, step {number_of(step)}: "
        first = read(step).split("\n", 1)[0]
        if not (first.startswith(title) and first.endswith(".") and len(first) > len(title) + 1):
            yield f"{step.relative_to(root)}:1: does not begin with `{title}IDEA.`"
        if before and before.suffix == ".cpp" and (count := new_lines(before, step)) > NEW_LINES:
            yield (
                f"{step.relative_to(root)}: {count} new lines of code after {before.name}; "
                f"more than {NEW_LINES} make two steps"
            )


def number_of(step: Path) -> int:
    return int(step.name.split("_")[0])


def new_lines(before: Path, step: Path) -> int:
    """Comments and empty lines do not count. Neither does the step that takes what the lesson has
    taught from headers for the first time: in it everything stands in another place."""
    old, new = code(before), code(step)
    if any(line.startswith('#include "') for line in new) and not any(
        line.startswith('#include "') for line in old
    ):
        return 0
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return len(new) - sum(block.size for block in blocks)


def code(file: Path) -> list[str]:
    lines = (line.strip() for line in read(file).splitlines())
    return [line for line in lines if line and not line.startswith("//")]


def unexplained_calls(root: Path) -> Iterator[str]:
    page = root / "docs/system-calls.md"
    explained = anchors(page) if page.is_file() else set()
    for folder in [root / "lessons/common", *sorted((root / "lessons").glob("[0-9][0-9]-*"))]:
        for file in sorted(folder.rglob("*.[ch]pp")):
            for call in re.findall(r"(?<![\w>:])::([a-z]\w*)\(", read(file)):
                if not file.name.startswith("test") and call not in explained:
                    explained.add(call)
                    yield f"docs/system-calls.md: has no heading for {call}, see {file.relative_to(root)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, metavar="DIR", help="another project than this one")
    options = parser.parse_args()
    root = (options.root or Path(__file__).parent.parent).resolve()
    try:
        found = list(broken(root))
    except Complaint as complaint:
        found = [str(complaint)]
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
