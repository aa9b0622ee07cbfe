"""The matrix program itself: what it prints, and that a wrong server does not get through."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest

MATRIX, FAULTY_SERVER = sys.argv[1:3]


def matrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MATRIX, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


class Matrix(unittest.TestCase):
    def test_the_design_is_listed(self) -> None:
        rows = [json.loads(line) for line in matrix("--list").stdout.splitlines()]
        self.assertEqual([row["property"] for row in rows], [f"P{n:02}" for n in range(1, 25)])
        cells = {row["property"]: row["cells"] for row in rows}
        self.assertEqual(cells["P14"]["01"], "LIMIT")
        self.assertEqual(cells["P15"]["02"], "LIMIT")
        self.assertEqual(cells["P12"]["03"], "-")
        self.assertEqual(cells["P18"]["05"], "PASS")

    def test_a_server_that_greets_nobody_fails(self) -> None:
        done = matrix("--column", "01", "--only", "P01", "--server", FAULTY_SERVER, "says too much")
        self.assertEqual(done.returncode, 1)
        (cell,) = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((cell["property"], cell["cell"]), ("P01", "FAIL"))
        self.assertIn("received nothing (timeout:none)", cell["seen"])
        self.assertIn("[caller A]  connects", done.stderr)

    def test_wrong_options_are_refused(self) -> None:
        for arguments, words in [
            (["--column", "99", "--server", "x"], 'no column is named "99"'),
            (["--column", "01"], "which server?"),
            (["--column"], "--column needs a value"),
            (["--only", "P99", "--column", "01", "--server", "x"], 'no property is named "P99"'),
            (["--what"], "unknown option --what"),
        ]:
            with self.subTest(arguments=arguments):
                done = matrix(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(words, done.stderr)
                self.assertIn("usage: matrix", done.stderr)

    def test_a_server_that_is_not_there(self) -> None:
        done = matrix("--column", "01", "--only", "P01", "--server", "/no/such/server")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot start /no/such/server", json.loads(done.stdout)["seen"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
