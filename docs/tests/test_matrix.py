"""The matrix as a table: what is played comes out, and the page says what the tests hold.

    test_matrix.py RUNNER      RUNNER is the program lessons/testkit/matrix
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs/lab"))

import matrix
from doctor import Stop

FAKE = """#!/bin/sh
echo '{"column": "'"$2"'", "property": "P01", "title": "one", "cell": "PASS", "seconds": 0.1, "seen": "x"}'
echo '{"column": "'"$2"'", "property": "P14", "title": "two", "cell": "'"$4"'", "seconds": 2, "seen": "y"}'
[ $4 = LIMIT ]
"""


class Table(unittest.TestCase):
    """A runner of our own, whose servers are words: the cell that it reports for P14."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.runner = Path(folder.name) / "matrix"
        self.runner.write_text(FAKE)
        self.runner.chmod(0o755)
        self.page, matrix.PAGE = matrix.PAGE, Path(folder.name) / "page.md"
        self.addCleanup(setattr, matrix, "PAGE", self.page)
        matrix.PAGE.write_text(f"# Above\n\n{matrix.BEGIN}old\n")

    def test_what_is_played_is_what_the_page_says(self) -> None:
        cells = matrix.play(self.runner, {"01": ["LIMIT"], "02": ["FAIL"]})
        matrix.write(cells)
        page = matrix.PAGE.read_text()
        self.assertTrue(page.startswith("# Above\n"))
        self.assertNotIn("old", page)
        self.assertEqual(
            matrix.cells_of(page),
            {
                ("P01", "01"): "PASS",
                ("P14", "01"): "LIMIT",
                ("P01", "02"): "PASS",
                ("P14", "02"): "FAIL",
            },
        )
        self.assertEqual(matrix.compare(cells), [])

    def test_a_page_that_says_otherwise_is_named_cell_by_cell(self) -> None:
        matrix.write(matrix.play(self.runner, {"01": ["LIMIT"]}))
        self.assertEqual(len(matrix.compare(matrix.play(self.runner, {"01": ["FAIL"]}))), 1)
        skipped = [
            cell._replace(cell="SKIP") for cell in matrix.play(self.runner, {"01": ["LIMIT"]})
        ]
        self.assertEqual(matrix.compare(skipped), [])

    def test_a_runner_that_breaks_off_is_no_result(self) -> None:
        with self.assertRaises(Stop):
            matrix.play(self.runner, {"01": ["PASS"]})


class Page(unittest.TestCase):
    runner = ""

    def test_the_page_says_what_is_designed_and_tested(self) -> None:
        """Each column's own test holds its server to the design; this one holds the page to it."""
        lines = subprocess.check_output([self.runner, "--list"], text=True, timeout=10).splitlines()
        design = {row["property"]: row["cells"] for row in map(json.loads, lines)}
        kept = matrix.cells_of(matrix.PAGE.read_text())
        columns = {column for _, column in kept}
        self.assertLessEqual({"01", "01 twin"}, columns)
        designed = {
            (name, column): cells[column]
            for name, cells in design.items()
            for column in columns
            if cells[column] != "-"
        }
        self.assertEqual({key: cell for key, cell in kept.items() if cell != "–"}, designed)


if __name__ == "__main__":
    Page.runner = sys.argv.pop()
    unittest.main()
