"""What a learner may expect of the coach, and an author of the gates, tried on a small tree with one
exercise. It is a page of answers, and these are verdicts: the judge, a script, reads them aloud."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shutil.which("python3", path=os.defpath) or sys.executable  # one that every user may run
PATIENCE = 60 * float(os.environ.get("NETSTEPS_PATIENCE") or 1)

BUILD = """project('small')
subdir('exercises')
"""
EXERCISES = """custom_target('01-sample',
  command: ['cp', '@INPUT@', '@OUTPUT@'],
  input: 'judge.py',
  output: '01-sample',
)
"""
JUDGE = """#!/bin/sh
for word; do
  case $word in
    --list) printf 'first\\nsecond\\nthird\\n'; exit ;;
    --check=*) check=${word#--check=} ;;
  esac
done
code=pass
case $word in
  *.txt) while read -r name verdict; do [ "$name" = "$check" ] && code=$verdict; done <"$word" ;;
esac
if [ "$code" = sometimes ]; then
  code=pass
  rm "${word%/*}/now" && code=reset
fi
said='caller B waited for \\u001b[31m red'
story="$said  ($code)\\\\n\\\\n  t=0.001  [caller B]  connects\\\\n"
[ "$code" = pass ] && story=
printf '{"check": "%s", "outcome": "%s", "seconds": 0.1, ' "$check" "$code"
printf '"sentence": "%s", "story": "%s"}\\n' "$said" "$story"
"""
README = """# 01/sample

- `first`: the first thing is done,
  and done well.
- `second`: the second thing is done.
- `third`: the third thing is done.
"""
TOML = """
title = "A sample"
kind = "predict"
minutes = 5
[starter]
first = "eof:early"
[[check]]
id = "first"
fail = "the first thing was not done"
hints = ["Have you thought of it?", "Have you thought of it again?"]
[[check]]
id = "second"
fail = "the second thing was not done, and this sentence is so long that it needs two lines"
hints = ["And of the second?"]
needs = ["first"]
[[check]]
id = "third"
fail = "the third thing was not done"
hints = ["And of the third?"]
[[mistake]]
id = "forgot the first"
edit = [{ find = "first pass", replace = "first eof:early" }]
expect = { first = "eof:early|reset" }
ask = "What comes before the second?"
[[mistake]]
id = "forgot both"
edit = [{ find = "second pass", replace = "second reset\\nthird reset" }]
expect = { second = "reset", third = "reset" }
ask = "What is left to do?"
"""
ENVIRONMENT = {"COLUMNS": "80", "NINJA_STATUS": "", "GIT_CEILING_DIRECTORIES": "/"}
SOLUTION = "first pass\nsecond pass\n"


def verdicts(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


class CoachTest(unittest.TestCase):
    """The tree is in a folder whose name has a space."""

    tree: Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a coach ")
        cls.addClassCleanup(folder.cleanup)
        cls.tree = Path(folder.name).resolve() / "net steps"
        for part in ("docs/lab", "exercises/coach"):
            shutil.copytree(ROOT / part, cls.tree / part)
        shutil.copy(ROOT / "lab", cls.tree)

    def setUp(self) -> None:
        """All as it was handed out, and nothing remembered."""
        for part in (".git", ".lab/exercises", "exercises/01-blocking-socket", "solutions"):
            shutil.rmtree(self.tree / part, ignore_errors=True)
        self.write("meson.build", BUILD)
        self.write("exercises/meson.build", EXERCISES)
        self.write("exercises/judge.py", JUDGE).chmod(0o755)
        self.write(
            "lessons/01-blocking-socket/1_server.cpp", "// 01 blocking socket, step 1: it.\n"
        )
        sample = "01-blocking-socket/sample"
        self.sample = self.write(f"exercises/{sample}/exercise.toml", TOML).parent
        self.write(f"exercises/{sample}/README.md", README)
        self.file = self.write(f"exercises/{sample}/answers.txt", verdicts("first eof:early"))
        self.starter = self.file.read_bytes()
        self.write("exercises/starters.json", json.dumps({"01/sample": ["first eof:early", ""]}))
        self.solution = self.write(f"solutions/{sample}/answers.txt", SOLUTION)
        self.write(f"solutions/{sample}/README.md", "Because.\n")

    def write(self, name: str, text: str) -> Path:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def lab(self, *words: str, code: int = 0, **environment: str) -> str:
        """What lab says; no line of it is wider than the terminal."""
        done = subprocess.run(
            [PYTHON, str(self.tree / "lab"), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, **ENVIRONMENT, **environment},
        )
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, said)
        self.assertNotIn("Traceback", said)
        return said

    def check(self, *lines: str, code: int = 1) -> str:
        self.file.write_text(verdicts(*lines))
        return self.lab("check", code=code)

    def test_a_learner_s_way_from_the_list_to_the_solution(self) -> None:
        self.assertIn("01/sample", self.lab("list"))
        said = self.lab("check", "01/sample", code=1)
        for line in said.splitlines():
            self.assertLessEqual(len(line), 80)
        self.assertIn("FAIL  first: the first thing was not done", said)
        self.assertIn("skip  second (needs first)", said)
        self.assertIn("ok    third", said)
        self.assertIn("a known mistake: forgot the first", said)
        self.assertIn("?[31m red", said)  # what a program prints is no command to the terminal
        self.assertRegex(said, r"Next: +\./lab hint .* \./lab replay first\n$")

        self.assertIn("hint 1 of 2\n\n    Have you thought of it?", self.lab("hint"))
        last = self.lab("hint")
        self.assertIn("hint 2 of 2\n\n    Have you thought of it again?", last)
        self.assertIn("--spoil", last)
        self.assertIn("the first thing is done, and done well.", self.lab("why", "first"))
        self.assertIn("is not solved yet", self.lab("solution", code=1))

        said = self.check(code=0)
        self.assertIn("3 ok. Well done.", said)
        self.assertIn("01-blocking-socket/sample/README.md", self.lab("solution"))
        self.assertIn("solved  01/sample            2 tries, 2 hints", self.lab("progress"))

    def test_what_matches_no_mistake_gets_no_diagnosis(self) -> None:
        for lines in (["first crash:SIGPIPE"], ["third reset"], ["first reset", "third reset"]):
            said = self.check(*lines)
            self.assertIn("FAIL", said)
            self.assertNotIn("known mistake", said)
        self.assertIn("forgot the first", self.check("first reset"))
        self.assertIn("forgot both", self.check("second reset", "third reset"))

    def test_exit_codes(self) -> None:
        self.assertIn("could not decide", self.check("first harness", code=4))
        self.lab("check", "02/no-such", code=2)
        self.lab("check", "--only", "no_such", code=2)
        self.file.unlink()
        self.assertIn("./lab reset", self.lab("check", code=2))

    def test_what_does_not_build_is_shown_as_the_learner_would_name_it(self) -> None:
        program = self.program("int main() { return nothing; }\n")
        said = self.lab("check", code=3)
        self.assertIn("exercises/01-blocking-socket/sample/server.cpp:1:21: error", said)
        self.assertIn("did not build", self.lab("why", code=2))
        program.write_text("int main() {}\n")
        self.assertIn("3 ok", self.lab("check"))

    def program(self, text: str = "int main() {}\n") -> Path:
        """The learner's file is a program from now on."""
        (self.sample / "exercise.toml").write_text(TOML.replace('"predict"', '"fix"'))
        (self.sample / "server.cpp").write_text(text)
        return self.sample / "server.cpp"

    def compiler(self, script: str) -> str:
        """One that does this instead of building a program. (lab asks it for headers, too.)"""
        script = f'#!/bin/sh\ncase "$*" in *"server.cpp -o"*)\n{script}\nesac\nexec g++ "$@"\n'
        path = self.write("a compiler", script)
        path.chmod(0o755)
        return f"'{path}'"

    def test_what_hinders_the_compiler_is_not_the_learner_s_fault(self) -> None:
        self.program("#include <iostream>\nint main() {}\n")
        no_room = "/usr/bin/ld: final link failed: No space left on device"
        hindrances = {
            f"echo '{no_room}' >&2; echo 'collect2: error: ld returned 1' >&2; exit 1": no_room,
            "ulimit -f 4": "File size limit exceeded",
            "ulimit -v 60000": "Close other programs",
            "kill -9 $$": "the compiler gave no answer: exit code -9",
            "exit 3": "the compiler gave no answer: exit code 3",
        }
        for script, words in hindrances.items():
            with self.subTest(script):
                said = self.lab("check", code=4, CXX=self.compiler(script))
                self.assertIn("could not be built, and this is not your fault", said)
                self.assertIn(words, said)
                self.assertNotIn("edit ", said)
        files = [str(self.tree / name) for name in ("report.json", "report.xml")]
        command = ["check", "--json", files[0], "--junit", files[1]]
        self.lab(*command, code=4, CXX=self.compiler("exit 3"))
        self.assertEqual(json.loads(Path(files[0]).read_text())["status"], "inconclusive")
        self.assertIn('<error message="did not build">', Path(files[1]).read_text())
        self.assertIn("5 min", self.lab("progress"))
        self.assertIn("has not been checked yet", self.lab("why", code=2))
        self.assertIn("3 ok", self.lab("check"))

    def test_a_folder_that_cannot_be_written_is_not_the_learner_s_fault(self) -> None:
        self.program()
        cache = self.write(".lab/exercises/programs", "a file where the coach wants a folder")
        said = self.lab("check", code=4)
        self.assertIn(str(cache), said)
        self.assertIn("this is not your fault", " ".join(said.split()))
        cache.unlink()
        shutil.rmtree(self.tree / ".lab")
        self.write(".lab", "a file where lab wants a folder")
        self.assertIn("not the fault of your file", self.lab("check", code=4))
        (self.tree / ".lab").unlink()

    def test_a_verdict_is_told_even_where_it_cannot_be_written_down(self) -> None:
        (self.tree / ".lab/exercises/progress.jsonl").mkdir(parents=True)
        said = self.lab("check", "01/sample", code=1)
        self.assertIn("FAIL  first", said)
        self.assertIn("progress.jsonl: Is a directory", said)

    def test_what_is_undecided_is_no_try(self) -> None:
        self.check("first harness", code=4)
        self.assertIn("5 min", self.lab("progress"))

    def test_a_judge_that_cannot_be_built_is_no_verdict(self) -> None:
        self.write("exercises/meson.build", EXERCISES.replace("'cp'", "'false'"))
        self.assertIn("did not build", self.lab("check", code=4))

    def test_the_compiler_is_named_as_meson_takes_it(self) -> None:
        program = self.program("int main() { return ANSWER + OTHER; }\n")
        self.write("a compiler", '#!/bin/sh\n"$@"\n').chmod(0o755)
        link = self.tree / "a g++"
        link.symlink_to(shutil.which("g++") or "")
        self.addCleanup(link.unlink)
        for command in ("env 'GREETING=a b' g++", f"'{self.tree}/a compiler' g++", f"'{link}' -O0"):
            with self.subTest(command):
                flags = "-DANSWER='1 - 1' -g0"
                said = self.lab("check", CXX=command, CXXFLAGS=flags, CPPFLAGS="-DOTHER=0")
                self.assertIn("3 ok", said)
        for variable, value, words in (
            ("CXX", "g++-none -O2", "CXX names g++-none, which is no program here"),
            ("CXX", "'g++", "No closing quotation. Correct it, or: unset CXX"),
            ("CXXFLAGS", "-O2 '", "No closing quotation. Correct it, or: unset CXXFLAGS"),
        ):
            program.write_text(f"int main() {{}} // {value}\n")
            with unittest.mock.patch.dict(os.environ, {variable: value}):
                self.assertIn(words, self.lab("check", code=4))

    def test_a_replay_of_what_builds_no_more(self) -> None:
        program = self.program("int main() {}\n")
        self.write("exercises/judge.py", JUDGE.replace("code=pass\ncase", "code=reset\ncase"))
        self.lab("check", code=1)
        program.write_text("int main() { return nothing; }\n")
        self.assertIn("does not build:", self.lab("replay", "first", code=3))

    def test_a_check_that_passes_only_sometimes_is_flaky(self) -> None:
        self.file.write_text("first sometimes\n")
        self.write("exercises/01-blocking-socket/sample/now", "")
        self.assertIn("Not always: first", self.lab("check", "--repeat", "2", code=5))

    def test_the_verdict_as_data(self) -> None:
        self.lab("check", "--json", str(self.tree / "report.json"), code=1)
        said = json.loads((self.tree / "report.json").read_text())
        self.assertEqual(said["recognised"], ["forgot the first"])
        statuses = {check["id"]: (check["status"], check["outcome"]) for check in said["checks"]}
        self.assertEqual(statuses["first"], ("fail", "eof:early"))
        self.assertEqual(statuses["second"], ("skipped", "skipped"))

        report = self.tree / "report.xml"
        self.lab("check", "--junit", str(report), code=1)
        suite = ElementTree.parse(report).find("testsuite")
        assert suite is not None
        counts = [suite.get(word) for word in ("name", "tests", "failures", "errors", "skipped")]
        self.assertEqual(counts, ["01/sample", "3", "1", "0", "1"])
        failure = suite.find("testcase[@name='first']/failure")
        assert failure is not None
        self.assertEqual(failure.get("type"), "eof:early")

    def test_another_file_is_judged_and_not_written_down(self) -> None:
        self.lab("check", code=1)
        self.lab("check", "--file", str(self.solution))
        self.assertIn("begun", self.lab("progress"))

    def test_reset_keeps_what_was_written(self) -> None:
        as_it_was = self.file.read_text()
        self.lab("check", code=1)
        self.check("third reset")
        mine = self.file.read_text()
        said = self.lab("reset")
        self.assertEqual(self.file.read_text(), as_it_was)
        kept = re.search(r"\.lab/\S+answers\.txt", said)
        assert kept
        self.assertEqual((self.tree / kept[0]).read_text(), mine)
        self.assertIn("is as it was handed out", self.lab("reset"))

    def test_reset_gives_what_the_author_handed_out_whatever_was_done_to_the_file(self) -> None:
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", str(self.tree)]

        def commit() -> None:
            self.file.write_text("mine\n")
            for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "mine"]):
                subprocess.run([*git, *words], check=True, timeout=PATIENCE)

        def make_a_folder() -> None:
            self.file.unlink()
            self.file.mkdir()
            (self.file / "mine").write_text("mine")

        def elsewhere() -> None:
            self.file.unlink()
            self.file.symlink_to(self.write("elsewhere.txt", "mine"))

        ways: dict[str, Callable[[], object]] = {
            "committed": commit,
            "other line ends": lambda: self.file.write_bytes(self.starter.replace(b"\n", b"\r\n")),
            "Latin-1": lambda: self.file.write_bytes("für mich\n".encode("latin-1")),
            "bytes": lambda: self.file.write_bytes(bytes(range(256))),
            "deleted": self.file.unlink,
            "a folder": make_a_folder,
            "a link": elsewhere,
            "a link to nothing": lambda: (self.tree / "elsewhere.txt").unlink(),
        }
        for way, do in ways.items():
            with self.subTest(way):
                do()
                mine = self.file.is_file() and self.file.read_bytes()
                said = self.lab("reset", "01/sample")
                self.assertEqual(self.file.read_bytes(), self.starter)
                self.assertFalse(self.file.is_symlink())
                kept = re.search(r"\.lab/\S+answers\.txt", said)
                if mine:
                    assert kept
                    self.assertEqual((self.tree / kept[0]).read_bytes(), mine)
                if way == "a link":
                    self.assertEqual((self.tree / "elsewhere.txt").read_text(), "mine")
                    self.file.unlink()
                    self.file.symlink_to("elsewhere.txt")
                self.assertEqual(kept is None, way == "deleted")
        kept_folder = self.tree.glob(".lab/exercises/attic/*/answers.txt/mine")
        self.assertEqual([path.read_text() for path in kept_folder], ["mine"])

    def test_reset_that_cannot_keep_or_does_not_know_leaves_the_file_alone(self) -> None:
        self.file.write_text("mine\n")
        attic = self.write(".lab/exercises/attic", "no folder")
        self.assertIn("attic", self.lab("reset", "01/sample", code=4))
        attic.unlink()
        for broken in ("", "{", "[]", '{"01/sample": 1}', "{}", "\udcff"):
            data = self.tree / "exercises/starters.json"
            data.write_bytes(broken.encode(errors="surrogateescape"))
            said = self.lab("reset", "01/sample", code=1)
            self.assertIn("exercises/starters.json", said)
            self.assertIn("Fetch that file again", said)
        self.assertEqual(self.file.read_text(), "mine\n")

    # Whatever is in the way, the answer is a sentence.

    def test_every_command_in_every_locale(self) -> None:
        """ASCII has no letter for the dots between two commands, nor for what READMEs say."""
        ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        self.write("exercises/01-blocking-socket/sample/README.md", README.replace("done", "döne"))
        (self.sample / "exercise.toml").write_text(TOML.replace("Have you", "Häve you"))
        self.file.write_bytes(b"first reset\n\xff\xfe\0 f\xfcr\n")
        report = str(self.tree / "report.xml")
        for environment in (ascii_only, {"PYTHONIOENCODING": "ascii"}, {"LANG": "C"}):
            for words, code in {
                ("list",): 0,
                ("check", "01/sample"): 1,
                ("check", "--json", "-"): 1,
                ("check", "--junit", report): 1,
                ("hint",): 0,
                ("why",): 0,
                ("replay", "first"): 1,
                ("solution", "--spoil"): 0,
                ("progress",): 0,
                ("author", "starters", "--check"): 1,
            }.items():
                with self.subTest(f"{environment} {words}"):
                    self.lab(*words, code=code, **environment)
            self.assertIsNotNone(ElementTree.parse(report).find("testsuite"))
            self.assertIn("döne", self.lab("why", "first"))

    def test_what_the_coach_wrote_down_may_be_spoilt(self) -> None:
        self.lab("check", code=1)
        self.lab("hint")
        book = self.tree / ".lab/exercises"
        for spoilt in (b"", b"\xff\n", b"5\n", b"{}\n", b'{"event": "hint"}\n', b"[", b'"checks"'):
            for path in (book / "progress.jsonl", book / "last/01-sample.json"):
                path.write_bytes(spoilt)
            with self.subTest(spoilt):
                self.assertIn("0 of 1 solved", self.lab("progress"))
                for command in ("hint", "why", "replay"):
                    said = " ".join(self.lab(command, code=2).split())
                    self.assertIn("has not been checked yet", said)
                self.lab("solution", code=1)
        spoilt = b'{"status": "fail", "recognised": [], "checks": [{}], "exercise": "01/sample"}'
        (book / "last/01-sample.json").write_bytes(spoilt)
        self.lab("hint", code=2)
        self.lab("check", code=1)
        self.assertIn("hint 1 of 2", self.lab("hint"))

    def test_what_is_no_file_that_can_be_read(self) -> None:
        self.file.unlink()
        self.file.mkdir()
        self.assertIn("is not a file", self.lab("check", code=2))
        self.assertIn("is not a file", self.lab("check", "--file", str(self.tree), code=2))
        self.assertIn("does not exist", self.lab("check", "--file", "/no/such", code=2))
        said = self.lab("check", "--file", f"/proc/{os.getpid()}/mem", code=2)
        self.assertIn("Input/output error", said)
        said = self.lab("check", "--file", str(self.solution), "--json", "/no/such/place", code=4)
        self.assertIn("/no/such/place: No such file or directory", said)

    def test_a_description_that_says_something_else(self) -> None:
        for text in (TOML.replace("minutes = 5", 'minutes = "5"'), "\udcff", "check = [1]"):
            (self.sample / "exercise.toml").write_bytes(text.encode(errors="surrogateescape"))
            self.assertIn("sample/exercise.toml: ", self.lab("progress", code=1))

    def test_no_home_and_no_standard_input(self) -> None:
        environment = {**ENVIRONMENT, "PATH": os.environ["PATH"]}
        for words, code, said in (("check", 1, "FAIL"), ("watch", 2, "wants a terminal")):
            done = subprocess.run(
                ["sh", "-c", f'exec "$0" "$1" {words} sample <&-', PYTHON, str(self.tree / "lab")],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                env=environment,
            )
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(said, done.stdout + done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def watch(self) -> int:
        """Starts it in a terminal of its own, and gives that."""
        self.pid, terminal = pty.fork()
        if self.pid == 0:
            os.execv(PYTHON, [PYTHON, str(self.tree / "lab"), "watch", "sample"])
        self.addCleanup(os.close, terminal)
        return terminal

    def test_watch_hears_keys_that_come_together(self) -> None:
        terminal = self.watch()
        self.read_until(terminal, "q quit")
        os.write(terminal, b"\xffhl")  # what means nothing, then two at once
        self.read_until(terminal, "0 of 1 solved")
        os.write(terminal, b"wq")
        self.assertEqual(os.waitpid(self.pid, 0)[1], 0)

    def test_watch_goes_on_whatever_a_check_meets(self) -> None:
        terminal = self.watch()
        self.read_until(terminal, "q quit")
        self.file.unlink()
        self.file.mkdir()
        self.read_until(terminal, "is not a file")
        os.write(terminal, b"x")
        self.read_until(terminal, "is as it was handed out again")
        os.write(terminal, b"q")
        self.assertEqual(os.waitpid(self.pid, 0)[1], 0)

    def test_watch_checks_what_is_saved_and_listens_to_keys(self) -> None:
        self.lab("check", code=1)
        terminal = self.watch()
        self.read_until(terminal, "1 failed")
        os.write(terminal, b"h")
        self.read_until(terminal, "Have you thought of it?")
        self.file.write_text(SOLUTION)
        self.read_until(terminal, "3 ok. Well done.")
        os.write(terminal, b"q")
        self.assertEqual(os.waitpid(self.pid, 0)[1], 0)

    def read_until(self, terminal: int, words: str) -> None:
        said = b""
        deadline = time.monotonic() + PATIENCE
        while words.encode() not in said:
            ready = select.select([terminal], [], [], deadline - time.monotonic())[0]
            self.assertTrue(ready, said.decode(errors="replace"))
            said += os.read(terminal, 65536)

    # Authors.

    def test_starters_are_recorded_as_they_are(self) -> None:
        self.lab("author", "starters", "--check")
        self.file.write_bytes("second reset\r\nfür dich".encode())
        said = self.lab("author", "starters", "--check", code=1)
        self.assertIn("01/sample. To record: ./lab author starters", said)
        self.lab("author", "starters")
        self.lab("author", "starters", "--check")
        self.lab("reset", "sample")
        self.assertEqual(self.file.read_bytes(), "second reset\nfür dich".encode())
        self.assertTrue((self.tree / "exercises/starters.json").read_bytes().isascii())
        self.file.write_bytes(b"\xff")
        self.assertIn("answers.txt is no text", self.lab("author", "starters", code=1))

    def verify(self, code: int) -> str:
        return self.lab("author", "verify", code=code)

    def test_what_is_right_is_found_right_and_remembered(self) -> None:
        self.assertIn("All as declared.", self.verify(0))
        self.assertIn("is as it was when it was found right", self.verify(0))

    def test_a_short_proof_leaves_out_what_others_show_and_counts_for_none(self) -> None:
        third = """[[mistake]]
id = "forgot the third"
edit = [{ find = "second pass", replace = "second pass\\nthird reset" }]
expect = { third = "reset" }
ask = "And then?"
"""
        (self.sample / "exercise.toml").write_text(TOML + third)
        said = self.lab("author", "verify", "--short")
        self.assertIn("forgot both", said)
        self.assertNotIn("forgot the third", said)
        self.assertIn("forgot the third", self.verify(0))

    def test_every_gate_closes(self) -> None:
        toml = self.sample / "exercise.toml"
        broken = {
            'first = "eof:early|reset"': ('first = "crash:SIGPIPE"', "as declared in 0 of 1 runs"),
            'expect = { second = "reset", third': ("expect = { third", "second: no mistake fails"),
            'find = "first pass"': ('find = "no such words"', "want once"),
            '["And of the second?"]': ("[]", "second: needs a hint"),
            'needs = ["first"]': ('needs = ["third"]', "needs what does not stand before it"),
            'ask = "What is left to do?"': ('ask = "Do it."', "is no question"),
            '[starter]\nfirst = "eof:early"': (
                "[starter]",
                "01/sample, the starter: as declared in 0",
            ),
            'id = "third"': ('id = "fourth"', "checks.cpp has first, second, third"),
            'kind = "predict"': (
                'kind = "complete"\nfile = "answers.txt"',
                "has 1 correct design",
            ),
        }
        for text, (instead, words) in broken.items():
            with self.subTest(words):
                self.assertEqual(TOML.count(text), 1, text)
                toml.write_text(TOML.replace(text, instead))
                self.assertIn(words, self.verify(1))
        toml.write_text(TOML + "\nthis = 1\n")
        self.assertIn("which means nothing here", self.verify(1))
        toml.write_text(TOML)
        (self.sample / "README.md").write_text(README.replace("`third`", "`sixth`"))
        said = self.verify(1)
        self.assertIn("README.md promises sixth, which no check demands", said)
        self.assertIn("third: README.md has no line", said)

    def test_a_wrong_solution_is_found_out(self) -> None:
        self.write("solutions/01-blocking-socket/sample/other.txt", verdicts("third reset"))
        said = self.verify(1)
        self.assertIn("design other: as declared in 0 of 1 runs", said)
        self.assertIn("Seen: third = reset", said)

    def test_what_went_wrong_beside_others_is_judged_again_alone(self) -> None:
        solutions = self.tree / "solutions/01-blocking-socket/sample"
        self.write("solutions/01-blocking-socket/sample/other.txt", verdicts("third sometimes"))
        (solutions / "now").touch()
        said = self.verify(0)
        self.assertIn("01/sample, as declared when it runs alone, before: design other", said)
        (solutions / "now").touch()
        said = self.lab("author", "verify", "--repeat", "2", code=1)
        self.assertIn("01/sample, design other: as declared in 1 of 2 runs (need 2)", said)


if __name__ == "__main__":
    unittest.main()
