#!/usr/bin/env python3
"""Weave real code, real differences and real conversations into the pages of the project.

A hidden comment in a page names the source of the fenced block below it:

    <!-- code: 4_one_after_another.cpp Fd -->            a function or type and the comment above it
    <!-- code: 2_one_client.cpp "Sleeps until" ... "accept4" -->    from a phrase to a phrase
    <!-- diff: 3_until_goodbye.cpp 4_one_after_another.cpp -->      what the second one changes
    <!-- run: 4_one_after_another with three_callers -->            the scene, played to the program
    <!-- shell: ./lab list -->                           what a command prints at the top level

Files and programs are named as seen from the page. Every block is written anew; with --check
nothing is written, and a block that is not what its source says is an error.
"""

import argparse
import difflib
import itertools
import os
import re
import shlex
import signal
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from definitions import Complaint, definitions_in, lines_of, read
from programs import output_of, transcript

FOLDERS = ["lessons", "clients", "exercises", "solutions", "docs"]
KINDS = ["code", "diff", "run", "shell"]
LANGUAGES = {".cpp": "cpp", ".hpp": "cpp", ".py": "python", ".build": "meson"}


def pages(root: Path) -> list[Path]:
    found = [page for folder in FOLDERS for page in sorted((root / folder).rglob("*.md"))]
    found += sorted(root.glob("*.md"))
    if not found:
        raise Complaint(f"there is no page (*.md) in {root}")
    return found


# The blocks of a page.


@dataclass(frozen=True)
class Block:
    line: int  # of the hidden comment, counted from 0
    end: int  # its fence ends before this line; line + 1: it has none yet
    indent: str = ""
    kind: str = ""
    source: str = ""  # what the comment says after the kind
    fault: str = ""  # why this is no block at all


def blocks(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        comment = re.match(r"(\s*)<!--\s*(\w+):(.*?)(-->\s*)?$", lines[at])
        kinds = difflib.get_close_matches(comment[2], KINDS) if comment else []
        begin = at + 1 if kinds else at
        end = end_of_fence(lines, begin)
        if end is None:
            yield Block(begin, begin, fault="a fence begins here and never ends")
            return
        if comment and kinds:
            fault = "" if comment[4] else "this comment does not end with --> in its line"
            if comment[2] not in KINDS:
                fault = f"`{comment[2]}` is no kind of block; did you mean `{kinds[0]}`?"
            yield Block(at, end, comment[1], comment[2], comment[3].strip(), fault)
        at = max(at + 1, end)


def end_of_fence(lines: list[str], at: int) -> int | None:
    """Behind the fence that opens in this line: this line, if none does; None, if it never ends."""
    fence = re.match(r"\s*(`{3,}|~{3,})", lines[at] if at < len(lines) else "")
    if not fence:
        return at
    closing = re.compile(rf"\s*{fence[1][0]}{{{len(fence[1])},}}\s*")
    return next((i + 1 for i in range(at + 1, len(lines)) if closing.fullmatch(lines[i])), None)


# What belongs into a block. Each kind gives the language of the fence, and the lines.


@dataclass(frozen=True)
class Project:
    root: Path
    build: Path | None

    def woven(self, page: Path, block: Block) -> list[str]:
        """The block as it should be, with its fence."""
        if block.fault:
            raise Complaint(block.fault)
        language, lines = getattr(self, block.kind)(page.parent, block.source)
        content = textwrap.dedent("\n".join(lines)).strip("\n")
        fence = "`" * max([3] + [len(ticks) + 1 for ticks in re.findall("`+", content)])
        return textwrap.indent(f"{fence}{language}\n{content}\n{fence}", block.indent).split("\n")

    def code(self, folder: Path, source: str) -> tuple[str, list[str]]:
        if phrases := re.fullmatch(r'(\S+) "(.+)" \.\.\. "(.+)"', source):
            file = folder / phrases[1]
            lines = between(phrases[2], phrases[3], file)
        elif name := re.fullmatch(r'(\S+) ([^\s"]+)', source):
            file = folder / name[1]
            lines = lines_of(name[2], file)
        else:
            raise Complaint('write `code: FILE NAME` or `code: FILE "from" ... "to"`')
        return LANGUAGES.get(file.suffix, "text"), lines

    def diff(self, folder: Path, source: str) -> tuple[str, list[str]]:
        if len(files := source.split()) != 2:
            raise Complaint("write `diff: FILE_BEFORE FILE_AFTER`")
        return "diff", difference(folder / files[0], folder / files[1])

    def run(self, folder: Path, source: str) -> tuple[str, list[str]]:
        if not (words := re.fullmatch(r"(.+) with (\S+)", source)):
            raise Complaint("write `run: PROGRAM with SCENE`")
        name, *options = shlex.split(words[1])
        if name.endswith(".py"):
            program = [sys.executable, str(folder / name)]
        else:
            built = (self.build or self.root) / os.path.relpath(folder / name, self.root)
            if not built.is_file():
                raise Complaint(f"there is no program {built}; build it: meson compile -C DIR")
            program = [str(built)]
        scene = [sys.executable, str(self.root / "clients" / "scenes.py"), words[2]]
        return "text", transcript(program + options, scene)

    def shell(self, folder: Path, source: str) -> tuple[str, list[str]]:
        """The output without what changes from run to run: ports, processes, threads."""
        output = output_of(["sh", "-c", source], self.root)
        output = re.sub(r"(127\.0\.0\.\d+):\d+", r"\1:N", output)
        output = re.sub(r"\bpid \d+", "pid P", output)
        output = re.sub(r"\bthread \d+", "thread T", output)
        return "console", [f"$ {source}", *output.splitlines()]


def between(start: str, stop: str, file: Path) -> list[str]:
    text = read(file)
    if (count := text.count(start)) != 1:
        raise Complaint(f'{file.name} has "{start}" {count} times, want once')
    first = text.index(start)
    if (last := text.find(stop, first + len(start))) == -1:
        raise Complaint(f'{file.name} has no "{stop}" after "{start}"')
    return text.splitlines()[text.count("\n", 0, first) : text.count("\n", 0, last) + 1]


def difference(before: Path, after: Path) -> list[str]:
    """Unified, two lines around each change, and its place by name instead of by number. The
    comment on top of a step is left out: the page says it in its own words."""
    old, new = (read(file).splitlines() for file in (before, after))
    old, new, top = old[title(old) :], new[title(new) :], title(new)
    if old == new:
        raise Complaint(f"{before.name} and {after.name} say the same")
    lines = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    named = [one for one in definitions_in(after) if len(one.path) == 1]
    for at, line in enumerate(lines):
        if hunk := re.match(r"@@ -\S+ \+(\d+),?(\d*)", line):
            first = int(hunk[1]) - 1 + top
            last = first + int(hunk[2] or 1) - 1
            near = [one.path[0] for one in named if first + 2 <= one.last and one.first <= last]
            lines[at] = " ".join(["@@", *near[:1], "@@"])
    return lines


def title(lines: list[str]) -> int:
    """How many lines the comment on top takes."""
    return len(list(itertools.takewhile(lambda line: line.startswith("//"), lines)))


# The command line.


def weave(project: Project, page: Path, check: bool) -> list[str]:
    """Writes the blocks of a page anew, or only checks them. What is wrong, in sentences."""
    lines = read(page).split("\n")
    fresh: list[str] = []
    wrong, done = [], 0  # `fresh` stands for the first `done` lines
    for block in blocks(lines):
        fresh += lines[done : block.line + 1]
        done = block.line + 1
        if block.kind == "run" and project.build is None:
            continue
        place = f"{page.relative_to(project.root)}:{block.line + 1}"
        try:
            woven = project.woven(page, block)
        except Complaint as complaint:
            wrong.append(f"{place}: {complaint}")
            continue
        if check and lines[done : block.end] != woven:
            change = list(difflib.unified_diff(lines[done : block.end], woven, n=1, lineterm=""))
            wrong.append(
                f"{place}: the block is not what `{block.kind}: {block.source}` says now\n"
                + textwrap.indent("\n".join(change[3:]), "    ")
            )
        fresh += woven
        done = block.end
        if done == block.line + 1 and done < len(lines) and lines[done].strip():
            fresh.append("")  # a new block stands apart from the text below it
    fresh += lines[done:]
    if not check and fresh != lines:
        page.write_text("\n".join(fresh), encoding="utf-8")
        print(f"wove {page.relative_to(project.root)}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--list", action="store_true", help="list the blocks, and nothing else")
    parser.add_argument("--build", type=Path, metavar="DIR", help="the built programs, for run:")
    parser.add_argument("--root", type=Path, metavar="DIR", help="another project than this one")
    options = parser.parse_args()
    root = (options.root or Path(__file__).parent.parent).resolve()
    project = Project(root, options.build and options.build.resolve())

    try:
        found = pages(root)
        if options.list:
            return show_blocks(root, found)
        wrong = [sentence for page in found for sentence in weave(project, page, options.check)]
    except Complaint as complaint:
        wrong = [str(complaint)]
    except OSError as error:
        wrong = [f"cannot write {error.filename}: {error.strerror}"]
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if not project.build:
        print("Without --build DIR the conversations (run:) stay as they are.")
    if wrong and options.check:
        build = shlex.quote(str(options.build or "DIR"))
        print(f"To weave anew: python3 docs/weave.py --build {build}", file=sys.stderr)
    return 1 if wrong else 0


def show_blocks(root: Path, found: list[Path]) -> int:
    for page in found:
        for block in blocks(read(page).split("\n")):
            print(f"{page.relative_to(root)}:{block.line + 1}: {block.kind}: {block.source}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how programs ended
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
