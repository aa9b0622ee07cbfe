#!/usr/bin/env python3
"""Check a table of what a standard asks: the last cell of each row is the beginning of a test case's name.
Prints each row that no case, or more than one, stands for.

    rfc_rows.py lessons/06-socketserver/12_files/rfc.md lessons/06-socketserver/test_files.cpp ..."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path


def complaints(page: Path, tests: list[Path]) -> Iterator[str]:
    names = [name for test in tests for name in case_names(test.read_text(encoding="utf-8"))]
    rows = re.findall(r"^\| (9\d+ .*) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if not rows:
        yield f"{page}: there is no row"
    for row in rows:
        case = row.split(" | ")[-1]
        count = sum(name.startswith(case) for name in names)
        if count != 1:
            yield f"{page}: {row.split(' | ')[0]}: {count} cases begin with: {case}"


def case_names(source: str) -> list[str]:
    return re.findall(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"', source)


if __name__ == "__main__":
    first, *others = map(Path, sys.argv[1:])
    found = list(complaints(first, others))
    print("\n".join(found))
    sys.exit(1 if found else 0)
