"""What lab makes of what it inherits: streams that are closed or full, signals that are ignored, a
terminal that lacks letters, an old Python, a machine without /proc or with old tools."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from test_lab import BUILD, PATIENCE, PYTHON, ROOT, LabTest

# Every command, in ways that end by themselves; whether it has printed something by then.
COMMANDS = [
    "",
    "--help",
    "list",
    "tour",
    "test one/nosuch",
    "run nosuch",
    "run 01/10",
    "client 01",
    "client nosuch",
    "compare",
    "compare 01 --scene nosuch",
    "compare 127.0.0.1:{9}",
    'compare "\'x {port}"',
    "matrix nosuch",
    "matrix --check",
    "bench nosuch",
    'bench "01 \'x"',
    'bench "\'x {port}" --only ping_1',
    "bench --only nosuch",
    "bench --idle {9}",
    "check nosuch",
    "check 01/frames --repeat {9}",
    "watch 01/frames",
    "hint 01/frames",
    "why --exercise 01/frames",
    "replay --exercise 01/frames",
    "solution 01/frames",
    "progress",
    "reset 01/frames",
    "author verify nosuch",
]
DIGITS = "9" * 5000
NO_UTF8 = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def bad_manners(said: str) -> bool:
    return any(word in said for word in ("Traceback", "Exception ignored", "fault of lab"))


class Streams(LabTest):
    def setUp(self) -> None:
        super().setUp()
        for folder in ("exercises/01-blocking-socket", "solutions/01-blocking-socket"):
            shutil.copytree(ROOT / folder, self.tree / folder)
        shutil.copy(ROOT / "exercises/starters.json", self.tree / "exercises")
        shutil.copytree(ROOT / "docs", self.tree / "docs", dirs_exist_ok=True)
        for name, script in {"meson": "echo No way; exit 1", "ninja": "exit 1", "c++": ":"}.items():
            self.program(name, script)
        for name in ("conversation", "talk", "timeline", "transcript"):
            shutil.copy(ROOT / f"clients/{name}.py", self.tree / "clients")
        shutil.copy(ROOT / "clients/scenes.py", self.tree / "clients")

    def shell(self, words: str, redirection: str, **environment: str) -> tuple[int, str]:
        """The exit code, and all that could be read."""
        words = words.replace("{9}", DIGITS)
        done = subprocess.run(
            ["/bin/sh", "-c", f"exec {PYTHON} ./lab {words} {redirection}"],
            cwd=self.tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            env={"PATH": f"{self.tree}/bin", "LANG": "C.UTF-8", **environment},
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def for_all(self, judge: Callable[[str], str]) -> None:
        """No command at which the judge finds something wrong."""
        with ThreadPoolExecutor(4) as pool:
            wrong = [complaint for complaint in pool.map(judge, COMMANDS) if complaint]
        self.assertEqual(wrong, [])

    def test_each_command_ends_as_it_does_with_all_its_streams(self) -> None:
        table: list[tuple[str, dict[str, str]]] = [
            ("<&-", {}),
            (">&-", {}),
            ("2>&-", {}),
            ("2>/dev/full", {}),
            ("", {"PYTHONIOENCODING": "ascii"}),
            ("", NO_UTF8),
        ]

        def judge(words: str) -> str:
            usual, said = self.shell(words, "")
            if bad_manners(said) or usual not in range(5):
                return f"lab {words}: exit code {usual}: {said}"
            for redirection, environment in table:
                code, said = self.shell(words, redirection, **environment)
                if code != usual or bad_manners(said):
                    how = f"{redirection}{environment or ''}"
                    return f"lab {words} {how}: exit code {code}, usually {usual}: {said}"
            return ""

        self.for_all(judge)

    def test_what_cannot_be_printed_is_no_success(self) -> None:
        """However it is buffered: argparse, for one, does not look whether its help was written."""

        def judge(words: str) -> str:
            _, printed = self.shell(words, "2>/dev/null")
            for unbuffered in ("", "1"):
                code, said = self.shell(words, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
                told = "cannot write its output: No space left on device" in said
                if bad_manners(said) or (printed and (code, told) != (4, True)):
                    return f"lab {words}: exit code {code}: {said}"
            return ""

        self.for_all(judge)

    def test_pages_are_read_and_written_where_text_is_ascii(self) -> None:
        made = {"directories": {"source": str(self.tree)}}
        self.write("build/meson-info/meson-info.json", json.dumps(made))
        self.write("build/build.ninja", "")
        self.program("ninja", ":")
        cell: dict[str, Any] = {
            "column": "01",
            "property": "P01",
            "title": "Grüße",
            "cell": "LIMIT",
        }
        cell |= {"seconds": 0.5, "seen": "a – b"}  # as a program in C++ prints it
        said = json.dumps(cell, ensure_ascii=False)
        self.write("build/lessons/testkit/matrix", f"#!/bin/sh\necho '{said}'\n")
        (self.tree / "build/lessons/testkit/matrix").chmod(0o755)
        code, said = self.shell("matrix 01 --write", "", **NO_UTF8)
        self.assertEqual(code, 0, said)
        page = (self.tree / "docs/matrix.md").read_text(encoding="utf-8")
        self.assertIn("Grüße", page)
        self.assertIn("a – b", page)
        self.assertEqual(self.shell("matrix 01 --check", "", **NO_UTF8)[0], 0)

    def test_a_file_is_not_taken_for_a_closed_stream(self) -> None:
        """Whatever is opened first would get the number 1, and with it what is printed."""
        self.shell("reset 01/frames", ">&-")
        for path in self.tree.glob(".lab/**/*"):
            if path.is_file():
                self.assertNotIn(b"handed out", path.read_bytes())

    def test_a_server_goes_on_when_its_hint_cannot_be_written(self) -> None:
        command = ["sh", "-c", f"exec {PYTHON} ./lab run 01/twin -- 4000 2>/dev/full"]
        with subprocess.Popen(command, cwd=self.tree, stdout=subprocess.PIPE, text=True) as lab:
            assert lab.stdout
            self.assertEqual(lab.stdout.readline(), "listening on 127.0.0.1:4000\n")
            while not list(self.tree.glob(".lab/running/*")):  # comes before the hint
                self.assertIsNone(lab.poll())
            lab.terminate()
            self.assertEqual(lab.wait(PATIENCE), 0)


class Faults(LabTest):
    def test_a_fault_of_lab_itself_is_a_sentence(self) -> None:
        with (self.tree / "docs/lab/doctor.py").open("a") as module:
            module.write("\n\ndef examine() -> int:\n    int('a small accident')\n")
        code, out, err = self.lab("doctor")
        self.assertEqual((code, out, len(err.splitlines())), (4, "", 1))
        self.assertIn("a small accident", err)
        self.assertIn("doctor.py", err)
        kept = self.tree / ".lab/fault.txt"
        self.assertIn(str(kept), err)
        self.assertIn("Traceback", kept.read_text())
        shutil.rmtree(self.tree / ".lab")
        self.write(".lab", "a file where lab wants a folder")
        code, _, err = self.lab("doctor")
        self.assertEqual((code, len(err.splitlines())), (4, 1))
        self.assertIn("a small accident", err)

    def test_half_a_copy(self) -> None:
        shutil.rmtree(self.tree / "exercises/coach")
        code, out, err = self.lab("list")
        self.assertEqual((code, out, len(err.splitlines())), (1, "", 1))
        self.assertIn("not complete", err)

    def test_a_file_of_the_learners_own_beside_the_steps(self) -> None:
        self.write("lessons/01-blocking-socket/9b_mine.cpp", "int main() {}\n")
        code, out, _ = self.lab("list")
        self.assertEqual(code, 0)
        self.assertNotIn("9b", out)


def ignoring(*numbers: int) -> Callable[[], None]:
    def ignore() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    return ignore


class Signals(LabTest):
    """A signal that was ignored when lab was started stays ignored. Were it not, lab would end of it,
    and not of the next one, which we send to see."""

    def test_a_server_outlives_the_terminal_that_nohup_was_told_of(self) -> None:
        for number in (signal.SIGHUP, signal.SIGINT):
            lab = self.serve(4000, preexec_fn=ignoring(number))
            lab.send_signal(number)
            lab.terminate()  # lab passes it on; a second one that it passes on is SIGKILL
            self.assertEqual(lab.wait(PATIENCE), 0)

    @unittest.skipUnless(shutil.which("meson") and shutil.which("ninja"), "no Meson or Ninja")
    def test_so_do_tests_and_each_of_them_begins_with_all_signals(self) -> None:
        begun = self.tree / "begun"
        code = f"""import pathlib, signal, time
assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
pathlib.Path({str(begun)!r}).touch()
time.sleep(50)  # far longer than it takes to be interrupted
"""
        self.write("begin.py", code)
        self.write("meson.build", BUILD + "test('slow', python, args: files('begin.py'))\n")
        lab = self.start("test", "slow", preexec_fn=ignoring(signal.SIGHUP, signal.SIGINT))
        while not begun.exists():
            self.assertIsNone(lab.poll())
        lab.send_signal(signal.SIGHUP)
        lab.send_signal(signal.SIGINT)
        lab.terminate()
        _, err = lab.communicate(timeout=PATIENCE)
        self.assertEqual((lab.returncode, err), (143, "lab: stopped by SIGTERM\n"))

    def test_how_a_child_has_ended_is_learnt_where_sigchld_is_ignored(self) -> None:
        options = {"preexec_fn": ignoring(signal.SIGCHLD)}
        self.assertEqual(self.lab("run", "01/twin", "--", "--help", **options)[0], 1)

    def test_others_that_start_programs_learn_it_too(self) -> None:
        client = """import json, sys
with open(sys.argv[sys.argv.index("--log") + 1], "w") as log:
    print(json.dumps({"t": 0.0, "who": sys.argv[sys.argv.index("--name") + 1], "do": "connected"}), file=log)
sys.exit(3)
"""
        self.write("client.py", client)
        scene = ["clients/scenes.py", "three_callers", "--port", "1", "--json"]
        shown = ["<!-- shell: echo hello -->", "```console", "$ echo hello", "hello", "```", ""]
        self.write("pages/README.md", "\n".join(shown))
        for command, code in {
            (*scene, "--client", str(self.tree / "client.py")): 1,
            ("docs/weave.py", "--check", "--root", str(self.tree / "pages")): 0,
        }.items():
            done = subprocess.run(
                [sys.executable, *command],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                preexec_fn=ignoring(signal.SIGCHLD),
            )
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertNotIn("No child processes", done.stdout + done.stderr)


class Machines(LabTest):
    def test_an_old_python_is_told_in_a_sentence(self) -> None:
        scripts = [
            ROOT / "lab",
            *(ROOT / "clients").glob("**/*.py"),
            *ROOT.glob("lessons/*/twin.py"),
        ]
        for script in scripts:
            text = script.read_text(encoding="utf-8")
            if not text.startswith("#!"):
                continue
            with self.subTest(script):
                older = (3, 6) if script.name == "lab" else (3, 9)
                ast.parse(text, feature_version=older)
                code, said = self.as_python_3_9(script)
                self.assertEqual((code, len(said.splitlines())), (1, 1), said)
                self.assertIn("this is Python 3.9, and Netsteps needs 3.11 or newer", said)
        for module in (
            "clients/talk.py",
            "clients/conversation.py",
            "lessons/common/new_enough.py",
        ):
            ast.parse((ROOT / module).read_text(encoding="utf-8"), feature_version=(3, 9))

    def as_python_3_9(self, script: Path) -> tuple[int, str]:
        pretend = """import runpy, sys
sys.version_info = (3, 9, 2, "final", 0)
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")"""
        done = subprocess.run(
            [sys.executable, "-c", pretend, str(script)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout + done.stderr

    def doctor(self, *defines: str, meson: str = "1.0.1") -> str:
        """What doctor says where the compiler defines this, on a machine of our own making."""
        macros = "\\n".join(f"#define {define}" for define in defines)
        self.program("c++", f"case $* in *-dM*) printf '{macros}\\n' ;; *) echo 'c++ 9' ;; esac")
        self.program("meson", f"echo {meson}")
        return self.lab("doctor", env={"PATH": f"{self.tree}/bin"})[1]

    GOOD = ("__GNUC__ 11", "_GLIBCXX_RELEASE 11", "__GLIBC__ 2", "__GLIBC_MINOR__ 36")
    CLANG = ("__clang__ 1", "__GNUC__ 4", *GOOD[1:])

    def test_doctor_knows_which_versions_are_too_old(self) -> None:
        good = self.doctor(*self.GOOD)
        for title in ("C\\+\\+ compiler", "C\\+\\+ library", "C library", "meson"):
            self.assertRegex(good, rf"\nok +{title} |^ok +{title} ")
        self.assertRegex(self.doctor("__clang_major__ 14", *self.CLANG), r"^ok +C\+\+ compiler")
        for complaint, said in {
            "g[+][+] 11 or newer": self.doctor("__GNUC__ 10", *self.GOOD[1:]),
            "clang 14 or newer": self.doctor("__clang_major__ 13", *self.CLANG),
            "libstdc[+][+] is needed": self.doctor(*self.GOOD[:1], *self.GOOD[2:]),
            "glibc 2.36 or newer is needed, and this is 2.35": self.doctor(
                *self.GOOD[:3], "__GLIBC_MINOR__ 35"
            ),
            "glibc is needed": self.doctor(*self.GOOD[:2]),
            "1.0 or newer": self.doctor(*self.GOOD, meson="0.61.2"),
        }.items():
            self.assertRegex(said, f"\nmissing .*{complaint}|^missing .*{complaint}")

    def test_doctor_on_a_machine_with_nothing(self) -> None:
        (self.tree / "bin").mkdir()
        code, out, _ = self.lab("doctor", env={"PATH": f"{self.tree}/bin"})
        self.assertEqual(code, 1)
        self.assertRegex(out, r"(?m)^missing  C\+\+ compiler +apt-get install g\+\+$")
        self.program("c++", "exit 1")  # and with one that fails without a word
        self.program("meson", ":")
        self.assertEqual(self.lab("doctor", env={"PATH": f"{self.tree}/bin"})[0], 1)

    def test_doctor_beside_a_process_whose_name_is_no_text(self) -> None:
        name = os.fsencode(self.tree) + b"/\xff"
        with open(name, "wb") as script:
            script.write(b"#!/bin/sh\nsleep 60 & echo $!; wait\n")  # until it is killed
        os.chmod(name, 0o755)
        with subprocess.Popen([name], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            child = int(parent.stdout.readline())
            try:
                code, _, err = self.lab("doctor", env={"PATH": f"{self.tree}/bin"})
            finally:
                os.kill(child, signal.SIGKILL)
        self.assertEqual((code, err), (1, ""))  # nothing is there, and that is said

    def test_a_machine_without_proc(self) -> None:
        hidden = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
        hidden += ['mount -t tmpfs none /proc && exec "$@"', "sh"]
        if subprocess.run([*hidden, "true"], capture_output=True).returncode != 0:
            self.skipTest("/proc cannot be hidden here")
        lab = [*hidden, PYTHON, str(self.tree / "lab")]
        self.serve(4000)
        for words, complaint in {
            ("list",): "",
            ("doctor",): "/proc is not there",
            ("client", "01"): "'4000'",  # its note is believed, and not taken away
            ("bench", "01", "--only", "ping_1"): "/proc, which is not there",
            ("compare", f"{PYTHON} -m http.server {{port}}"): "/proc/net, which is not there",
        }.items():
            if words[0] == "compare":
                shutil.copytree(ROOT / "clients", self.tree / "clients", dirs_exist_ok=True)
            done = subprocess.run(
                [*lab, *words],
                cwd=self.tree,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            self.assertIn(complaint, done.stdout + done.stderr)
            self.assertNotIn("Traceback", done.stdout + done.stderr)
            self.assertNotIn("fault of lab", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
