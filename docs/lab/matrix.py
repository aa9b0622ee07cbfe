"""The conformance matrix: played against real servers, shown as a table, kept in docs/matrix.md."""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from doctor import ROOT, Stop
from workshop import child

PAGE = ROOT / "docs/matrix.md"
BEGIN = "<!-- The rest of this page is written by `./lab matrix --write`. -->\n"


class Cell(NamedTuple):
    """What one server did about one promise: PASS, LIMIT, FAIL or SKIP, and what was seen."""

    column: str
    property: str
    title: str
    cell: str
    seconds: float
    seen: str


def play(runner: Path, columns: dict[str, list[str]]) -> list[Cell]:
    """Tries every property on every server, one after another; says each as it is known."""
    cells = []
    for column, server in columns.items():
        command = [str(runner), "--column", column, "--server", *server]
        with child(command, stdout=subprocess.PIPE) as trial:
            assert trial.stdout
            for line in trial.stdout:
                cell = Cell(**json.loads(line))
                cells.append(cell)
                how = f"{cell.cell:<6}{cell.seconds:6.1f} s  {cell.title}"
                print(f"{cell.column:<8} {cell.property}  {how}", flush=True)
            code = trial.wait()
        if code != 0 and not any(cell.cell == "FAIL" for cell in cells):
            raise Stop(f"{runner.name} --column '{column}' ended with exit code {code}")
    return cells


def table(cells: list[Cell]) -> str:
    """In Markdown, aligned so that it reads well on a terminal too; then how each limit looks."""
    columns = list(dict.fromkeys(cell.column for cell in cells))
    said = {(cell.property, cell.column): cell.cell for cell in cells}
    titles = dict(sorted((cell.property, cell.title) for cell in cells))
    rows = [["", "property", *columns]]
    for name, title in titles.items():
        rows.append([name, title, *(said.get((name, column), "–") for column in columns)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    limits = [f"- {c.property}, {c.column}: {c.seen}" for c in cells if c.cell == "LIMIT"]
    return "\n".join([*lines, "", "What each limit looks like:", "", *limits])


def cells_of(page: str) -> dict[tuple[str, str], str]:
    """The cells in a table of the kind above, by property and column."""
    lines = re.findall(r"^\|(.*)\|$", page, re.MULTILINE)
    rows = [[word.strip() for word in line.split("|")] for line in lines]
    return {
        (row[0], column): cell
        for row in rows
        for column, cell in zip(rows[0][2:], row[2:])
        if re.match(r"P\d\d$", row[0])
    }


def write(cells: list[Cell]) -> None:
    above = PAGE.read_text(encoding="utf-8").split(BEGIN)[0]
    PAGE.write_text(f"{above}{BEGIN}\n{table(cells)}\n", encoding="utf-8")


def compare(cells: list[Cell]) -> list[str]:
    """What the page says otherwise than this run; a cell that was skipped says nothing."""
    kept = cells_of(PAGE.read_text(encoding="utf-8"))
    return [
        f"{cell.property}, {cell.column}: {PAGE.name} says {kept.get((cell.property, cell.column))}, it is {cell.cell}"
        for cell in cells
        if cell.cell != "SKIP" and kept.get((cell.property, cell.column)) != cell.cell
    ]
