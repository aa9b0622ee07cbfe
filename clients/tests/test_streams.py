"""Every program here, with arguments and standard streams that nobody would wish it: no traceback.

What cannot be done is told in one sentence, and nothing else is taken for the reason.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from processes import CLIENTS, CONVERSATIONS, DEADLINE, command, together
from servers import Server, hotline

PROGRAMS = sorted(
    str(path.relative_to(CLIENTS))
    for folder in (".", "hostile", "socketserver")
    for path in (CLIENTS / folder).glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)
NUMBERS = {  # options that take a number, and what the rest of the command needs
    "--port": {*PROGRAMS} - {"timeline.py", "socketserver/unix_echo.py"},
    "--timeout": {*PROGRAMS} - {"timeline.py"},
    "--callers": {f"0{n}_{name}.py" for n, name in [(2, "select"), (5, "event_framework")]}
    | {"03_thread_per_client.py", "04_fork_per_client.py", "06_socketserver.py"},
    "--sleepers": {"05_event_framework.py"},
    "--sleep": {"05_event_framework.py"},
    "--clients": {"scenes.py"},
    "--count": {"hostile/vanisher.py", "hostile/resetter.py", "hostile/descriptor_eater.py"},
    "--bytes": {"hostile/flooder.py", "hostile/long_line.py", "hostile/slow_reader.py"},
    "--seconds": {"hostile/idler.py", "hostile/drip.py", "hostile/never_reader.py"},
    "--idle-timeout": {"hostile/idler.py", "hostile/drip.py", "hostile/never_reader.py"},
}
NEEDED = {  # what must stand in the command
    "scenes.py": ["silent_first"],
    "socketserver/unix_echo.py": ["stream", "/nowhere"],
    "socketserver/get_in_parts.py": ["/"],
    "timeline.py": ["/nowhere"],
}
HELP = [command(program, "--help") for program in PROGRAMS]
CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-", "all three": "<&- >&- 2>&-"}
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

Ended = subprocess.CompletedProcess[bytes]


def run(words: list[str], how: str = "", **more: str) -> Ended:
    """As a shell runs it, with its streams as `how` has them."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {how}', "sh", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        env={**os.environ, **more},
    )


def run_without_reader(words: list[str]) -> Ended:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
        )
    finally:
        os.close(writer)


class Streams(unittest.TestCase):
    def assert_ends(self, ended: Ended, *codes: int) -> None:
        self.assertIn(ended.returncode, codes, ended)
        self.assertNotIn(b"Traceback", ended.stderr + (ended.stdout or b""))
        self.assertNotIn(b"Exception", ended.stderr)

    def assert_sentence(self, ended: Ended, sentence: str, *codes: int) -> None:
        self.assert_ends(ended, *codes)
        self.assertRegex(ended.stderr.decode(), rf"\A\w+\.py: [^\n]*{sentence}[^\n]*\n\Z")

    @contextlib.contextmanager
    def conversations(self) -> Iterator[list[list[str]]]:
        """The command of every client that can talk to our server, and of the drawing of a log."""
        with Server(hotline) as server, tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "log")
            event = {"t": 1e9, "who": "Zo\u00eb", "local": None, "do": "connecting"}
            log.write_text(json.dumps(event) + "\n")
            yield [
                command("timeline.py", log),
                *[
                    command(program, "--port", server.port, *options)
                    for program, options in CONVERSATIONS.items()
                ],
            ]

    def test_none_is_forgotten(self) -> None:
        talking = {name for name in PROGRAMS if name.startswith(("0", "hostile", "scenes"))}
        self.assertEqual(talking - {"06_socketserver.py"} - set(CONVERSATIONS), set())
        self.assertGreater(len(PROGRAMS), 20)

    def test_numbers_that_are_none(self) -> None:
        wrong = ["9" * 5000, "0" * 4999 + "7" * 12, "-1", "", "0x10", "\udcff"]
        whole = ["\u0663", "1_0", " 1"]  # int() and float() take them
        cases = []
        for option, programs in NUMBERS.items():
            is_time = option in ("--seconds", "--timeout", "--idle-timeout")
            all_of_them = wrong if is_time else wrong + whole
            for program in sorted(programs):
                # All of them with one program, and with each what Python's int() refuses.
                texts = all_of_them if program == min(programs) else wrong[:2]
                cases += [(program, option, text) for text in texts]

        def ended_with(case: tuple[str, str, str]) -> Ended:
            program, option, text = case
            port = [] if option == "--port" or "unix" in program else ["--port", "1"]
            return run(command(program, *NEEDED.get(program, []), *port, f"{option}={text}"))

        for (program, option, text), ended in together(ended_with, cases):
            with self.subTest(program, option=option, text=text[:10]):
                self.assert_ends(ended, 2)
                error = ended.stderr.decode().splitlines()[-1]
                self.assertRegex(error, rf"{option}.*: ")
                self.assertLess(len(error), 300)

    def test_a_port_may_have_leading_zeros(self) -> None:
        with Server(hotline) as server:
            port = f"{'0' * 50}{server.port}"
            self.assert_ends(run(command("01_blocking_socket.py", "--port", port)), 0)

    def test_arguments_that_are_no_text(self) -> None:
        with Server(hotline) as server:
            for options in (
                ["--say", "echo \udcff"],
                ["--name", "\udcff"],
                ["--say", "echo \u20ac"],
            ):
                for more in (dict[str, str](), ASCII):
                    words = command("01_blocking_socket.py", "--port", server.port, *options)
                    with self.subTest(options=options, more=more):
                        self.assert_ends(run(words, **more), 0)
        for program in PROGRAMS:
            with self.subTest(program):
                needed = NEEDED.get(program, [])
                ended = run(command(program, *needed, "--no-such-option=\udcff", "\udcff"), **ASCII)
                self.assert_ends(ended, 2)

    def test_an_output_of_ascii(self) -> None:
        with self.conversations() as commands:
            for words, ended in together(lambda words: run(words, **ASCII), commands):
                with self.subTest(words=words[1:3]):
                    self.assert_ends(ended, 0)
                    self.assertTrue(ended.stdout.isascii())
        for words, ended in together(lambda words: run(words, **ASCII), HELP):
            with self.subTest(words=words[1:]):
                self.assert_ends(ended, 0)

    def test_streams_that_are_closed(self) -> None:
        with self.conversations() as commands:
            cases = itertools.product(commands, CLOSED)
            for (words, name), ended in together(lambda it: run(it[0], CLOSED[it[1]]), cases):
                with self.subTest(name, words=words[1:3]):
                    self.assert_ends(ended, 0)
                    self.assertEqual(ended.stderr, b"")
        cases = itertools.product(HELP, ("stdout", "all three"))
        for (words, name), ended in together(lambda it: run(it[0], CLOSED[it[1]]), cases):
            with self.subTest(name, words=words[1:]):
                self.assert_ends(ended, 0)
        wrong = [command(program, "--nonsense") for program in PROGRAMS]
        for words, ended in together(lambda words: run(words, CLOSED["stderr"]), wrong):
            with self.subTest("stderr", words=words[1:]):
                self.assert_ends(ended, 2)

    def test_an_output_that_is_full(self) -> None:
        with self.conversations() as commands:
            for words, ended in together(lambda it: run(it, ">/dev/full"), commands + HELP):
                with self.subTest(words=words[1:3]):
                    self.assert_sentence(ended, "cannot write .*: No space left", 1)

    def test_an_output_that_nobody_reads(self) -> None:
        with self.conversations() as commands:
            for words, ended in together(run_without_reader, commands + HELP):
                with self.subTest(words=words[1:3]):
                    self.assert_ends(ended, 1)
                    self.assertEqual(ended.stderr, b"")

    def test_a_few_who_are_shown_line_by_line_do_not_blame_the_server(self) -> None:
        """They print while they look after a connection, and both can fail with the same error."""
        with Server(hotline) as server:
            words = command("05_event_framework.py", "--port", server.port, "--callers", 3)
            self.assert_sentence(run(words, ">/dev/full"), "cannot write .*: No space left", 1)
            ended = run_without_reader(words)
            self.assertEqual((ended.returncode, ended.stderr), (1, b""))

    def test_an_input_that_cannot_be_read(self) -> None:
        with Server(hotline) as server:
            words = command("01_blocking_socket.py", "--port", server.port)
            self.assert_sentence(
                run(words, "0>/dev/null"), "cannot read standard input: Bad file", 1
            )
            self.assert_sentence(run([*words, "--cue"], "0>/dev/null"), "cannot read", 1)
            self.assert_sentence(run([*words, "--cue"], "<&-"), "over before our cue", 1)

    def test_a_log_that_cannot_be_written(self) -> None:
        with Server(hotline) as server:
            words = command("01_blocking_socket.py", "--port", server.port, "--log")
            self.assert_sentence(run([*words, "/dev/full"]), "cannot write .*: No space left", 1)
            for file in ("/", "x" * 5000, "/no/such/folder/\udcff"):
                self.assert_ends(run([*words, file]), 2)

    def test_a_client_that_cannot_be_had(self) -> None:
        for file in ("x" * 5000, "\udcff", ""):
            words = command("scenes.py", "silent_first", "--port", "1", "--client", file)
            self.assert_ends(run(words), 2)

    def test_a_client_that_writes_no_log(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Server(hotline) as server:
            client = Path(folder, "client.py")
            client.write_text("import sys\nprint('no log', file=open(sys.argv[-2], 'w'))\n")
            words = command("scenes.py", "silent_first", "--port", server.port, "--client", client)
            self.assert_sentence(run(words), "does not write a log: each line must be JSON", 1)

    def test_typed_bytes_that_are_no_text(self) -> None:
        """Where Python has no readline it decodes what is typed, and it may not be UTF-8."""
        with tempfile.TemporaryDirectory() as folder, Server(hotline) as server:
            Path(folder, "readline.py").write_text("raise ImportError\n")
            ours, theirs = pty.openpty()
            client = subprocess.Popen(
                command("01_blocking_socket.py", "--port", server.port),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=dict(os.environ, PYTHONPATH=folder, LC_ALL="C.UTF-8"),
            )
            os.close(theirs)
            os.write(ours, b"echo \xe9 is Latin-1\n\x04")
            seen = b""
            with contextlib.suppress(OSError):  # it has ended
                while data := os.read(ours, 4096):
                    seen += data
            os.close(ours)
            self.assertEqual(client.wait(DEADLINE), 0, seen)
        self.assertIn(rb"\xe9 is Latin-1 ", seen)


if __name__ == "__main__":
    unittest.main()
