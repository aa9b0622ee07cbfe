"""proofs.py tells proofs that hold from those that only seem to."""

from __future__ import annotations

import subprocess
import sys
import unittest

PROOFS, SAMPLE = sys.argv[1:3]


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROOFS, SAMPLE, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Proofs(unittest.TestCase):
    def test_each_proof_is_judged(self) -> None:
        done = prove()
        lines = done.stdout.splitlines()
        judged = {lines[i][6:12]: (lines[i][:4].strip(), lines[i + 1]) for i in range(0, 12, 2)}
        for step, verdict, seen in [
            ("step 2", "ok", "so it was  (wrong_bytes)"),
            ("step 3", "ok", "CHECK_FALSE"),
            ("step 4", "FAIL", "passes on the step before"),
            ("step 5", "FAIL", "a fault of the test: so it was  (harness)"),
            ("step 6", "FAIL", "a fault of the test: bind: no such luck"),
            ("step 7", "FAIL", "a fault of the test: SIGABRT"),
        ]:
            with self.subTest(step):
                self.assertEqual(judged[step][0], verdict, done.stdout)
                self.assertIn(seen, judged[step][1])
        self.assertEqual(lines[12:], ["4 of 6 proofs do not hold."])
        self.assertEqual(done.returncode, 1)

    def test_proofs_that_hold(self) -> None:
        done = prove("--test-case=step 2*,step 3*")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("All 2 proofs fail on the step before, as they must.", done.stdout)

    def test_a_program_without_proofs_or_that_is_none(self) -> None:
        done = prove("--test-case=nothing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no case named `step N: ...`", done.stderr)
        done = subprocess.run(
            [sys.executable, PROOFS, "/no/such/test"], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
