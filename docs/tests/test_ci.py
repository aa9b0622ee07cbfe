"""What .ci/run makes of its runs, tried on a small tree where lab and the system's tools only say what
they were asked."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

from project import ProjectTest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60  # seconds; nothing here needs more than a few

# Stands for lab: where it was started and for what, then the answer that the test has written down.
LAB = """
    #!/bin/sh
    echo "$PWD: $*" >>"$ORDERS"
    case "$*" in
        *--all*) answer=all ;;
        *release*) answer=release ;;
        *) answer=everyday ;;
    esac
    cat "$ANSWERS/$answer"
    exit "$(cat "$ANSWERS/$answer.code")"
"""


@unittest.skipUnless(shutil.which("git"), "git is missing")
class Runs(ProjectTest):
    def setUp(self) -> None:
        super().setUp()
        self.checkout = self.root / "check out"
        self.write("check out/.ci/run", (ROOT / ".ci/run").read_text(), 0o755)
        self.write("check out/lab", LAB, 0o755)
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all")
        self.write("check out/left lying about", "")
        (self.root / "home").mkdir()
        self.stub("id", '[ "$1" = -u ] && echo 0')
        for name in ("dpkg-query", "chown", "useradd", "meson", "ninja"):
            self.stub(name, "exit 0")
        self.stub("getent", f'echo "learner:x:1:1::{self.root}/home:/bin/sh"')
        self.stub("setpriv", 'while [ "${1#--}" != "$1" ]; do shift; done; AS=learner exec "$@"')
        for run, count in {"all": 100, "everyday": 10, "release": 1}.items():
            self.answer(
                run,
                f"1 of the tests says:\n0 passed, 7 failed, 0 skipped\n\n{count} passed, 0 failed, 0 skipped",
            )

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.checkout, check=True, timeout=DEADLINE)

    def stub(self, name: str, script: str) -> None:
        self.write(f"bin/{name}", f"#!/bin/sh\n{script}\n", 0o755)

    def answer(self, run: str, said: str, code: int = 0) -> None:
        self.write(f"answers/{run}", said + "\n")
        self.write(f"answers/{run}.code", str(code))

    def run_all(self) -> tuple[int, list[str]]:
        done = subprocess.run(
            [str(self.checkout / ".ci/run")],
            env={
                "PATH": f"{self.root}/bin:{os.environ['PATH']}",
                "ANSWERS": str(self.root / "answers"),
                "ORDERS": str(self.root / "orders"),
                "CCACHE_DIR": str(self.root / "cache"),
            },
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_the_last_line_counts_all_runs(self) -> None:
        code, lines = self.run_all()
        self.assertEqual((code, lines[-1]), (0, "111 passed, 0 failed, 0 skipped"))

    def test_the_user_has_a_fresh_clone_in_a_folder_with_a_space(self) -> None:
        self.run_all()
        clone = self.root / "home/net steps"
        orders = (self.root / "orders").read_text().splitlines()
        self.assertEqual(orders[0], f"{self.checkout}: test --all --yes")
        self.assertEqual(orders[1], f"{clone}: test")
        self.assertTrue((clone / ".ci/run").exists())
        self.assertFalse((clone / "left lying about").exists())
        self.assertEqual(self.run_all()[0], 0, "and a second time, where all that is there already")

    def test_one_failure_in_any_run_is_a_failure(self) -> None:
        for run in ("all", "everyday", "release"):
            self.answer(run, "3 passed, 1 failed, 2 skipped", 1)
            code, lines = self.run_all()
            self.assertEqual(code, 1)
            self.assertIn(" 1 failed, 2 skipped", lines[-1])
            self.answer(run, "0 passed, 0 failed, 0 skipped")

    def test_a_release_build_that_fails_is_a_failure_and_is_shown(self) -> None:
        self.stub("ninja", "echo 'FAILED: server.o'; echo 'server.cpp:1: a warning'; exit 1")
        code, lines = self.run_all()
        self.assertEqual((code, lines[-1]), (1, "111 passed, 0 failed, 0 skipped"))
        self.assertIn("server.cpp:1: a warning", lines)

    def test_a_count_is_believed_more_than_an_exit_code(self) -> None:
        self.answer("everyday", "3 passed, 1 failed, 2 skipped")
        self.assertEqual(self.run_all()[0], 1)
        self.answer("everyday", "3 passed, 0 failed, 2 skipped", 1)
        self.assertEqual(self.run_all()[0], 1)

    def test_a_run_without_a_count_is_a_failure_and_the_others_go_on(self) -> None:
        self.answer("all", "lab: build/ did not build", 3)
        code, lines = self.run_all()
        self.assertEqual((code, lines[-1]), (1, "11 passed, 0 failed, 0 skipped"))
        self.assertIn("== This run did not get to the end of its tests (exit code 3).", lines)


if __name__ == "__main__":
    unittest.main()
