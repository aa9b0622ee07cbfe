"""What a person at the keyboard may expect of lab, tried on small trees of its own making."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shutil.which("python3", path=os.defpath) or sys.executable  # one that every user may run
PATIENCE = 60  # seconds; nothing here needs more than a few

BUILD = """project('small')
python = find_program('python3')
foreach name, code : {'good': 'pass', 'bad': 'print("Oh no"); exit(1)', 'unable': 'exit(77)'}
  test(name, python, args: ['-c', code], suite: 'one')
endforeach
test('elsewhere', python, args: ['-c', 'pass'], suite: 'two')
test('01 lesson', python, args: ['-c', 'pass'], suite: '01-blocking-socket')
"""

SERVER = """import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
if "--help" in sys.argv:
    sys.exit("usage: twin")
print("listening on 127.0.0.1:" + sys.argv[-1], flush=True)
time.sleep(60)  # a deadline for itself, should nobody stop it
"""


# A test whose program cannot be built.
BROKEN = """
broken = custom_target('broken', output: 'broken',
  command: ['sh', '-c', 'echo one; echo two; exit 1'],
)
test('broken', python, args: broken, suite: 'three')
"""


class LabTest(unittest.TestCase):
    """Each test has a tree in a folder whose name has a space, with two lessons and one client."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a b")
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name).resolve() / "net steps"
        shutil.copytree(ROOT / "docs/lab", self.tree / "docs/lab")
        shutil.copytree(ROOT / "exercises/coach", self.tree / "exercises/coach")
        shutil.copy(ROOT / "lab", self.tree)
        self.write("meson.build", BUILD)
        for lesson in ("01-blocking-socket", "02-select"):
            number, topic = lesson.split("-", 1)
            title = f"// {number} {topic}, step"
            self.write(f"lessons/{lesson}/1_listen_and_hold.cpp", f"{title} 1: listen and hold.\n")
            self.write(f"lessons/{lesson}/10_server.cpp", f"{title} 10: the end.\n")
            self.write(f"lessons/{lesson}/9_goodbye.cpp", f"{title} 9: goodbye.\n")
            self.write(f"lessons/{lesson}/twin.py", SERVER)
        self.write("clients/hostile/no_such_habit.py", "")
        self.write("clients/01_blocking_socket.py", "import sys; print(sys.argv[1:])")

    def write(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def program(self, name: str, script: str) -> None:
        self.write(f"bin/{name}", f"#!/bin/sh\n{script}\n")
        (self.tree / "bin" / name).chmod(0o755)

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[str]":
        command = [PYTHON, str(self.tree / "lab"), *words]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def lab(self, *words: str, **options: Any) -> tuple[int, str, str]:
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertNotIn("Traceback", out + err)
        return process.returncode, out, err

    def serve(self, port: int, **options: Any) -> "subprocess.Popen[str]":
        """A twin that says it listens on this port."""
        process = self.start("run", "01/twin", "--", str(port), **options)
        assert process.stdout and process.stderr
        self.assertEqual(process.stdout.readline(), f"listening on 127.0.0.1:{port}\n")
        self.assertIn("./lab client 01", process.stderr.readline())
        return process

    def server_of(self, port: int) -> int:
        notes = map(Path.read_text, self.tree.glob(".lab/running/*"))
        facts = [json.loads(note) for note in notes]
        return next(int(fact["pid"]) for fact in facts if fact["port"] == str(port))


class Words(LabTest):
    def test_alone_it_says_where_to_begin(self) -> None:
        code, out, _ = self.lab()
        self.assertEqual(code, 0)
        self.assertIn("./lab tour", out)

    def test_help_for_everything(self) -> None:
        code, out, _ = self.lab("--help")
        self.assertEqual(code, 0)
        for command in (
            "tour",
            "test",
            "list",
            "run",
            "client",
            "compare",
            "matrix",
            "bench",
            "doctor",
        ):
            self.assertRegex(out, rf"\n +{command} ")
            code, help_text, _ = self.lab(command, "--help")
            self.assertEqual((code, help_text.split()[:3]), (0, ["usage:", "lab", command]))

    def test_unknown_names_are_answered_with_near_ones(self) -> None:
        for words, near in {
            ("tst",): "test",
            ("run", "3"): "01-blocking-socket",
            ("run", "blokking"): "blocking",
            ("run", "01/goodby3"): "goodbye",
            ("run", "01/4"): "9_goodbye",
            ("client", "selekt"): "select",
            ("run", "nosuch"): "01-blocking-socket",
        }.items():
            code, out, err = self.lab(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(near, err)
        self.assertEqual(err.count("01-blocking-socket"), 1, "one name for each is enough")

    def test_options_may_stand_anywhere(self) -> None:
        code, _, err = self.lab("author", "verify", "--short", "no_such_exercise")
        self.assertEqual(code, 2)
        self.assertIn("'no_such_exercise'", err)

    def test_list_is_what_the_folders_hold_in_order(self) -> None:
        _, out, _ = self.lab("list")
        lines = [line.split(maxsplit=1) for line in out.splitlines()]
        self.assertEqual(
            lines[1:4], [["01/1", "listen and hold"], ["01/9", "goodbye"], ["01/10", "the end"]]
        )
        self.assertIn(["02/10", "the end"], lines)
        self.assertIn("no_such_habit", out)

    def test_options_of_others_need_a_command_that_takes_them(self) -> None:
        code, _, err = self.lab("list", "--", "--port")
        self.assertEqual(code, 2)
        self.assertIn("run and client", err)

    def test_a_reader_who_has_enough_is_no_error(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        process = subprocess.run(
            [PYTHON, str(self.tree / "lab"), "list"],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
        )
        os.close(writing)
        self.assertEqual((process.returncode, process.stderr), (141, b""))

    def test_what_the_machine_refuses_is_one_sentence(self) -> None:
        self.write(".lab", "a file where lab wants a folder")
        code, _, err = self.lab("run", "01/twin", "--", "4000")
        self.assertEqual((code, len(err.splitlines())), (4, 1))
        self.assertIn(".lab", err)


class Servers(LabTest):
    def test_a_client_finds_the_newest_server_that_runs(self) -> None:
        old, new = self.serve(4001), self.serve(4002)
        self.assertEqual(
            self.lab("client", "1")[1].strip(), "['--host', '127.0.0.1', '--port', '4002']"
        )
        new.send_signal(signal.SIGINT)
        self.assertEqual(new.wait(PATIENCE), 0)
        _, out, _ = self.lab("client", "blocking", "--", "--say", "0")
        self.assertIn("'4001', '--say', '0'", out)
        old.terminate()
        self.assertEqual(old.wait(PATIENCE), 0)
        self.assertEqual(list(self.tree.glob(".lab/running/*")), [])

    def test_the_path_of_the_tree_may_be_any_bytes(self) -> None:
        self.tree = self.tree.rename(self.tree.with_name(os.fsdecode(b"caf\xe9")))
        server = self.serve(4004)
        for _ in range(2):  # the first one must not take the note away
            self.assertIn("'4004'", self.lab("client", "01")[1])
        self.assertIn("./lab client 01", self.lab()[1])
        server.terminate()
        self.assertEqual(server.wait(PATIENCE), 0)

    def test_without_a_server_it_says_how_to_start_one(self) -> None:
        code, _, err = self.lab("client", "01")
        self.assertEqual(code, 1)
        self.assertIn("./lab run 01", err)

    def test_a_port_of_ones_own_needs_no_server(self) -> None:
        self.assertEqual(self.lab("client", "01", "--", "--port=7")[1].strip(), "['--port=7']")

    def test_a_killed_server_is_named_and_forgotten(self) -> None:
        process = self.serve(4003)
        os.kill(self.server_of(4003), signal.SIGSEGV)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGSEGV)
        self.assertIn("SIGSEGV", err)
        self.assertEqual(self.lab("client", "01")[0], 1)

    def test_a_note_that_outlived_its_server_is_no_server(self) -> None:
        facts = {"program": "/gone", "pid": str(os.getpid()), "host": "127.0.0.1", "port": "1"}
        self.write(".lab/running/01.1.json", json.dumps(facts))
        self.write(".lab/running/01.2.json", '{"torn')
        self.assertEqual(self.lab("client", "01")[0], 1)
        self.assertEqual(list(self.tree.glob(".lab/running/*")), [])

    def test_options_and_exit_code_pass_through(self) -> None:
        code, _, err = self.lab("run", "01/twin", "--", "--help")
        self.assertEqual((code, err), (1, "usage: twin\n"))

    def test_when_lab_ends_its_server_ends(self) -> None:
        process = self.serve(4004)
        server = Path(f"/proc/{self.server_of(4004)}")
        process.send_signal(signal.SIGHUP)
        process.wait(PATIENCE)
        self.assertFalse(server.exists())


# A server with a child that has a thread more: 2 processes, 3 threads.
FAMILY = """#!/usr/bin/env python3
import os, signal, sys, threading, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
child = os.fork()
if child == 0:
    threading.Thread(target=time.sleep, args=[60], daemon=True).start()
    signal.pause()
signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, signal.SIGTERM), os._exit(0)))
print("listening on 127.0.0.1:4005", flush=True)
time.sleep(60)  # as above
"""
ALONE = """#!/usr/bin/env python3
import time
print("listening on 127.0.0.1:4006", flush=True)
time.sleep(60)  # as above
"""
# Long enough to be looked at; and what it logs is how long somebody waited.
SCENE = """import sys, time
assert sys.argv[2:] in (["--host", "127.0.0.1", "--port", port, "--json"] for port in ("4005", "4006"))
time.sleep(0.5)
print({"three_callers": 1.25, "silent_first": 0.0031, "one_sleeps": 0.8}[sys.argv[1]])
"""
TIMELINE = """import sys
print(open(sys.argv[-1]).read() if "--longest" in sys.argv else "a drawing of " + sys.argv[1][-10:])
"""


@unittest.skipUnless(shutil.which("meson") and shutil.which("ninja"), "Meson and Ninja are missing")
class Tour(LabTest):
    def setUp(self) -> None:
        super().setUp()
        lessons = {"01-blocking-socket": ALONE, "02-select": FAMILY}
        for lesson, program in lessons.items():
            self.write(f"lessons/{lesson}/server.py", program)
            (self.tree / f"lessons/{lesson}/server.py").chmod(0o755)
            copy = "custom_target('10_server', input: 'server.py', output: '10_server', "
            copy += "command: ['cp', '@INPUT@', '@OUTPUT@'])\n"
            self.write(f"lessons/{lesson}/meson.build", copy)
        self.write("meson.build", BUILD + "".join(f"subdir('lessons/{one}')\n" for one in lessons))
        self.write("clients/scenes.py", SCENE)
        self.write("clients/timeline.py", TIMELINE)

    def test_every_lesson_is_in_the_table(self) -> None:
        code, out, err = self.lab("tour")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.count("a drawing of one_sleeps"), 2)
        self.assertRegex(out, r"\nlesson +three callers +silent first +one sleeps +processes")
        row = r"\n{} +1\.2 s +3\.1 ms +800 ms +{} +{} +[\d.]+ MiB\n"
        self.assertRegex(out, row.format("01 blocking socket", 1, 1))
        self.assertRegex(out, row.format("02 select", 2, 3))
        self.assertEqual(processes(f"{self.tree}/build/lessons"), [])

    def test_as_an_ordinary_user(self) -> None:
        if os.geteuid() == 0:
            self.tree.parent.chmod(0o755)
            for path in [self.tree, *self.tree.rglob("*")]:
                os.chown(path, 65534, 65534)
        options = {"user": 65534} if os.geteuid() == 0 else {}
        code, out, err = self.lab("tour", **options)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\n02 select .* [\d.]+ MiB\n")

    def test_a_scene_that_fails_is_told(self) -> None:
        self.write("clients/scenes.py", "import sys; sys.exit('nobody came')\n")
        code, _, err = self.lab("tour")
        self.assertEqual(code, 1)
        self.assertEqual(err, "nobody came\nlab: the scene three_callers failed with exit code 1\n")
        self.assertEqual(processes(f"{self.tree}/build/lessons"), [])


@unittest.skipUnless(shutil.which("meson") and shutil.which("ninja"), "Meson and Ninja are missing")
class Tests(LabTest):
    """The small tree has tests that pass, fail and skip, and no program to build."""

    def last(self, *words: str) -> tuple[int, str]:
        code, out, _ = self.lab("test", *words)
        return code, out.splitlines()[-1]

    def test_counts_are_true(self) -> None:
        code, out, _ = self.lab("test")
        self.assertEqual((code, out.splitlines()[-1]), (1, "3 passed, 1 failed, 1 skipped"))
        self.assertIn("Oh no", out)
        self.assertEqual(self.last("good", "--repeat", "3"), (0, "3 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.last("one/good", "elsewhere"), (0, "2 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.last("01"), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.last("two"), (0, "1 passed, 0 failed, 0 skipped"))
        code, _, err = self.lab("test", "one/god")
        self.assertEqual(code, 2)
        self.assertIn("one/good", err)

    def test_a_release_build_has_a_folder_of_its_own(self) -> None:
        self.assertEqual(self.last("--build", "release", "two")[0], 0)
        options = json.loads(
            (self.tree / "build-release/meson-info/intro-buildoptions.json").read_text()
        )
        self.assertIn("release", [one["value"] for one in options if one["name"] == "buildtype"])
        self.assertFalse((self.tree / "build").exists())

    def test_a_tree_that_moved_is_set_up_anew(self) -> None:
        self.assertEqual(self.last("two")[0], 0)
        self.tree = self.tree.rename(self.tree.with_name("moved"))
        self.assertEqual(self.last("two")[0], 0)
        made = json.loads((self.tree / "build/meson-info/meson-info.json").read_text())
        self.assertEqual(made["directories"]["source"], str(self.tree))

    def test_a_path_that_meson_cannot_write_down_is_one_sentence(self) -> None:
        for name in (b"caf\xe9", b"two\nlines"):
            self.tree = self.tree.rename(self.tree.with_name(os.fsdecode(name)))
            for words in (["test"], ["run", "01"]):
                code, _, err = self.lab(*words)
                self.assertEqual(code, 3)
                self.assertIn("Rename the folder, or move the tree", err)
        code, out, _ = self.lab("doctor")
        self.assertEqual(code, 1)
        self.assertIn("missing  path of this tree", out)

    def test_what_meson_refuses_is_shown(self) -> None:
        self.write("meson.build", "project('small')\nerror('No way')\n")
        code, _, err = self.lab("test")
        self.assertEqual(code, 3)
        self.assertIn("No way", err)

    def test_the_first_error_is_shown_whole_and_alone(self) -> None:
        self.write("meson.build", BUILD + BROKEN)
        code, _, err = self.lab("test")
        self.assertEqual(code, 3)
        self.assertIn("broken\none\ntwo\n", err)

    def test_only_what_the_tests_need_is_built(self) -> None:
        self.write("meson.build", BUILD + BROKEN)
        self.assertEqual(self.last("two"), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.lab("test", "broken")[0], 3)

    def test_an_interrupted_run_leaves_nothing_behind(self) -> None:
        # This test would sleep far longer than anybody waits, so that it can be interrupted.
        mark = f"tired {os.getpid()}"
        slow = f"test('slow', python, args: ['-c', 'import time; time.sleep(50)', '{mark}'])\n"
        self.write("meson.build", BUILD + slow)
        process = self.start("test", "slow")
        self.wait_for(lambda: bool(processes(mark)))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (130, ""))
        self.assertEqual(processes(mark), [])
        process = self.start("test", "slow")
        self.wait_for(lambda: bool(processes(mark)))
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (143, "lab: stopped by SIGTERM\n"))
        self.assertEqual(processes(mark), [])

    def wait_for(self, condition: Any) -> None:
        # Looks again and again until the deadline decides.
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


def processes(mark: str) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            pass  # it ended while we looked
    return found


class Packages(LabTest):
    """A machine with nothing but an apt-get, which writes down what it is asked for."""

    BY_HAND = r"apt-get update && (sudo )?apt-get install -y g\+\+ meson ninja-build"

    def setUp(self) -> None:
        super().setUp()
        self.orders = self.tree / "orders"
        self.orders.touch()
        self.orders.chmod(0o666)
        self.tree.parent.chmod(0o755)
        self.program("apt-get", f'echo "apt-get $*" >>"{self.orders}"')
        self.program("apt-cache", "exit 1")
        self.program("env", 'shift; exec "$@"')

    def sudo(self, first: str = ":") -> None:
        """As the real one: its own options come first, and there may be none."""
        self.program("sudo", f'{first}; [ "$1" != --non-interactive ] || shift; exec "$@"')

    def ordered(self) -> list[str]:
        """The commands given to apt-get and sudo, without their options."""
        lines = self.orders.read_text().splitlines()
        return [" ".join(line.replace("-o DPkg::Lock::Timeout=120 ", "").split()) for line in lines]

    def build(self, *words: str, as_user: bool = False, **environment: str) -> tuple[int, str, str]:
        options = {"user": 65534} if as_user and os.geteuid() == 0 else {}
        bare = {"PATH": str(self.tree / "bin"), **environment}
        return self.lab("test", *words, env=bare, **options)

    def test_nobody_to_ask_and_nobody_said_yes(self) -> None:
        self.program("sudo", f'echo "sudo $*" >>"{self.orders}"')
        for as_user in (False, True):
            code, _, err = self.build(as_user=as_user)
            self.assertEqual((code, self.ordered()), (1, []))
            self.assertRegex(err, self.BY_HAND)

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_root_installs_by_word_or_in_ci(self) -> None:
        for word, ci in (("--yes", ""), ("--repeat=1", "true")):
            self.orders.write_text("")
            code, _, err = self.build(word, CI=ci)
            self.assertEqual(self.ordered()[0], "apt-get -qq update")
            self.assertRegex(self.ordered()[1], r"^apt-get -qq install -y g\+\+ meson ninja-build")
            self.assertEqual(code, 1)
            self.assertIn("PATH does not find g++ meson", err)  # it wrote down, it did not install

    def test_a_user_without_sudo_is_told_what_to_type(self) -> None:
        code, _, err = self.build("--yes", as_user=True)
        self.assertEqual((code, self.ordered()), (1, []))
        self.assertRegex(err, "Become root and type:\n  " + self.BY_HAND)

    def test_a_user_with_sudo_installs_through_it(self) -> None:
        self.sudo(f'echo "sudo $*" >>"{self.orders}"')
        self.build("--yes", as_user=True)
        self.assertRegex(self.ordered()[0], "^sudo --non-interactive env .* apt-get -qq update")
        self.assertIn("apt-get -qq update", self.ordered())

    def test_what_apt_get_says_is_shown(self) -> None:
        self.sudo()
        self.program("apt-get", "echo the disk is full; exit 100")
        code, _, err = self.build("--yes")
        self.assertEqual(code, 1)
        self.assertRegex(err, "the disk is full")
        self.assertRegex(err, self.BY_HAND)

    def test_a_person_at_a_terminal_is_asked(self) -> None:
        self.sudo()
        for answer, orders in (("n", 0), ("", 2)):
            ours, theirs = pty.openpty()
            command = [PYTHON, str(self.tree / "lab"), "test"]
            environment = {"PATH": str(self.tree / "bin")}
            with subprocess.Popen(
                command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
            ) as asks:
                os.close(theirs)
                screen = b""
                while b"[Y/n]" not in screen:
                    screen += os.read(ours, 1000)
                os.write(ours, answer.encode() + b"\n")
                self.assertEqual(asks.wait(PATIENCE), 1)
            os.close(ours)
            self.assertEqual(len(self.ordered()), orders)

    def test_other_systems_are_told_the_names(self) -> None:
        (self.tree / "bin/apt-get").unlink()
        code, _, err = self.build("--yes")
        self.assertEqual(code, 1)
        self.assertIn("g++ meson ninja-build", err)


if __name__ == "__main__":
    unittest.main()
