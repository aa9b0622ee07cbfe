"""The client of lesson 01 as a student meets it: its lines, its exit code, its one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from processes import DEADLINE, Finished, command, run, scaled, start, wait_for
from servers import GREETING, TIMEOUT, Serve, Server, checksum, converse, hard_reset, hotline
from servers import pattern

CLIENT = "01_blocking_socket.py"


def talk(serve: Serve, *options: object, said: str = "") -> Finished:
    with Server(serve) as server:
        return run(CLIENT, "--port", server.port, *options, said=said)


def without_times(text: str) -> list[str]:
    return [re.sub(r"^ *[0-9.]+ ", "", line) for line in text.splitlines()]


def greets_then(*answers: bytes) -> Serve:
    """Greets, hears one thing, says these, and hangs up when the caller does."""

    def serve(line: socket.socket) -> None:
        line.sendall(GREETING)
        line.recv(1000)
        for answer in answers:
            line.sendall(answer)
        while line.recv(65536):
            pass

    return serve


def says_nothing(line: socket.socket) -> None:
    while line.recv(65536):
        pass


class Client(unittest.TestCase):
    maxDiff = None

    def assert_fails(self, finished: Finished, sentence: str, code: int = 1) -> None:
        """Exit 1, and one sentence on standard error that says what was wrong."""
        self.assertEqual(finished.returncode, code, finished)
        self.assertRegex(finished.stderr, sentence)
        self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
        self.assertTrue(finished.stderr.startswith(f"{CLIENT}: "), finished.stderr)

    def assert_went_well(self, finished: Finished) -> None:
        self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)


class Conversations(Client):
    def test_says_lines_and_shows_answers_with_times(self) -> None:
        finished = talk(hotline, "--say", "0", "echo hi", "--say", "nonsense", "exit")
        self.assert_went_well(finished)
        self.assertRegex(finished.stdout, r"(?m)^ +\d\.\d{3} < 0000$")
        self.assertEqual(
            without_times(finished.stdout)[1:],
            [
                "< Welcome to 10086, test, pid 1, thread 1",
                *["> 0", "< 0000", "> echo hi", "< hi", "> nonsense", "< Do it again", "> exit"],
                "- the server hung up",
            ],
        )

    def test_times_are_when_it_came(self) -> None:
        heard = talk(hotline, "--say", "sleep 500", "exit").stdout
        times = {line.split(maxsplit=1)[1]: float(line.split()[0]) for line in heard.splitlines()}
        self.assertGreater(times["< ok"] - times["> sleep 500"], 0.3)

    def test_a_sleep_may_take_longer_than_the_timeout(self) -> None:
        def slow(line: socket.socket) -> None:
            line.recv(100)
            time.sleep(1.5)  # The habit under test: it takes the time that it was given.
            line.sendall(b"ok\n", socket.MSG_MORE)  # with the end of the stream, in one piece

        options = ["--no-greeting", "--timeout", 0.5, "--say", "sleep 60000"]
        finished = talk(slow, *options)
        self.assert_went_well(finished)
        self.assertIn("< ok\n", finished.stdout)

    def test_reads_lines_from_a_pipe_and_leaves_at_its_end(self) -> None:
        finished = talk(hotline, said="echo one\n\necho unfinished")
        self.assert_went_well(finished)
        self.assertEqual(
            without_times(finished.stdout)[2:],
            ["> echo one", "< one", "> ", "< Do it again", "> echo unfinished", "< unfinished"]
            + ["- the server hung up"],
        )

    def test_nothing_to_say(self) -> None:
        self.assert_went_well(talk(hotline))

    def test_a_line_with_a_newline_is_two_lines(self) -> None:
        self.assertIn("< Do it again\n", talk(hotline, "--say", "echo a\nb").stdout)

    def test_bytes_go_out_as_they_are(self) -> None:
        with Server(hotline) as server:
            finished = subprocess.run(
                command(CLIENT, "--port", server.port),
                input=b"echo \xff\x00\xc3\xbc\n",
                capture_output=True,
                timeout=DEADLINE,
            )
        self.assertIn(b"< \\xff\\x00\xc3\xbc\n", finished.stdout)

    def test_big_and_sink_are_counted_not_shown(self) -> None:
        amounts = [0, 1, 23, 65536, 3_000_000]
        said = [f"{verb} {amount}" for verb in ("big", "sink") for amount in amounts]
        finished = talk(hotline, "--say", *said, "exit")
        self.assert_went_well(finished)
        for amount in amounts:
            sum_text = checksum(pattern(amount)).decode()
            self.assertIn(f"< ({amount:,} bytes, we count {sum_text})\n", finished.stdout)
            self.assertIn(f"< sum {sum_text}\n", finished.stdout)
            self.assertIn(f"< sunk {amount} {sum_text}\n", finished.stdout)
        self.assertLess(len(finished.stdout), 3000)

    def test_numbers_that_the_server_refuses(self) -> None:
        finished = talk(hotline, "--say", "sink 1000000001", "sink -1", "big x", "sink", "exit")
        self.assert_went_well(finished)
        self.assertEqual(finished.stdout.count("< Do it again"), 4)

    def test_a_line_unasked_is_shown_and_is_no_answer(self) -> None:
        finished = talk(hotline, "--say", "say hello", "echo 127.0.0.1:5: me", "exit")
        self.assert_went_well(finished)
        self.assertEqual(
            without_times(finished.stdout)[2:],
            ["> say hello", "< 127.0.0.9:999: somebody else", "< said"]
            + ["> echo 127.0.0.1:5: me", "< 127.0.0.1:5: me", "> exit", "- the server hung up"],
        )

    def test_a_line_unasked_before_big_is_not_part_of_it(self) -> None:
        answer = b"127.0.0.9:9: hi\n" + pattern(40) + b"\nsum " + checksum(pattern(40)) + b"\n"
        finished = talk(greets_then(answer), "--say", "big 40")
        self.assert_went_well(finished)
        self.assertIn("< 127.0.0.9:9: hi\n", finished.stdout)

    def test_too_long_is_told_and_is_an_end_we_expect(self) -> None:
        finished = talk(hotline, "--say", "x" * 2000)
        self.assert_went_well(finished)
        self.assertIn("< Line too long\n", finished.stdout)

    def test_crash_may_end_the_server(self) -> None:
        self.assert_went_well(talk(hotline, "--say", "crash"))

    def test_a_server_without_a_greeting(self) -> None:
        def echo(line: socket.socket) -> None:
            while data := line.recv(1000):
                line.sendall(data)

        finished = talk(echo, "--no-greeting", "--say", "hello", "big 5", "exit")
        self.assert_went_well(finished)
        self.assertIn("< big 5\n", finished.stdout)

    def test_the_log_has_it_all(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "a log.jsonl"
            options = ["--name", "A", "--bind", "127.0.0.2", "--log", log, "--say", "0", "exit"]
            self.assert_went_well(talk(hotline, *options))
            events = [json.loads(line) for line in log.read_text().splitlines()]
        self.assertEqual(
            [(event["do"], event.get("text")) for event in events],
            [
                ("connecting", None),
                ("connected", None),
                ("received", r"Welcome to 10086, test, pid 1, thread 1\n"),
                *[("sent", r"0\n"), ("received", r"0000\n"), ("sent", r"exit\n")],
                *[("end", None), ("closed", None)],
            ],
        )
        self.assertEqual({event["who"] for event in events}, {"A"})


class WrongServers(Client):
    def test_never_accepts(self) -> None:
        with Server(hotline, accepts=False) as server:
            finished = run(CLIENT, "--port", server.port, "--timeout", 0.6, "--say", "0")
        self.assert_fails(finished, "no greeting within 0.6 s: the server has not accepted us")
        self.assertIn("connected; waiting for the greeting (the server has not", finished.stdout)

    def test_a_late_greeting_is_announced(self) -> None:
        announced = threading.Event()
        self.addCleanup(announced.set)

        def late(line: socket.socket) -> None:
            announced.wait(DEADLINE)
            hotline(line)

        with Server(late) as server:
            client = start(CLIENT, "--port", server.port, "--say", "0", "exit")
            wait_for(client, "connected; waiting for the greeting")
            announced.set()
            output, errors = client.communicate(timeout=DEADLINE)
        self.assertEqual((client.returncode, errors), (0, ""))
        self.assertIn("< Welcome", output)

    def test_never_answers(self) -> None:
        finished = talk(says_nothing, "--no-greeting", "--timeout", 0.5, "--say", "0")
        self.assert_fails(finished, "no answer to `0` within 0.5 s")

    def test_never_hangs_up(self) -> None:
        given_up = threading.Event()
        self.addCleanup(given_up.set)

        def deaf_to_the_end(line: socket.socket) -> None:
            given_up.wait(DEADLINE)

        with Server(deaf_to_the_end) as server:
            finished = run(CLIENT, "--port", server.port, "--no-greeting", "--timeout", 0.5)
            given_up.set()
        self.assert_fails(finished, "did not hang up within 0.5 s")

    def test_a_wrong_sum(self) -> None:
        answer = pattern(100) + b"\nsum 00000000\n"
        finished = talk(greets_then(answer), "--say", "big 100")
        self.assert_fails(finished, "says `sum 00000000`, but we count .* lost, doubled or changed")

    def test_changed_bytes(self) -> None:
        right = pattern(100)
        answer = right[:50] + b"!" + right[51:] + b"\nsum " + checksum(right) + b"\n"
        self.assert_fails(talk(greets_then(answer), "--say", "big 100"), "bytes were lost")

    def test_a_byte_too_many(self) -> None:
        answer = pattern(101) + b"\nsum " + checksum(pattern(100)) + b"\n"
        finished = talk(greets_then(answer), "--say", "big 100")
        self.assert_fails(finished, "after 100 bytes the newline is due")

    def test_a_byte_too_few(self) -> None:
        answer = pattern(99) + b"\nsum " + checksum(pattern(100)) + b"\n"
        self.assert_fails(talk(greets_then(answer), "--say", "big 100"), "newline is due")

    def test_sink_with_a_wrong_sum(self) -> None:
        finished = talk(greets_then(b"sunk 5 00000000\n"), "--say", "sink 5")
        self.assert_fails(finished, "says `sunk 5 00000000`, but we count `sunk 5 05c801f0`")

    def test_hangs_up_in_the_middle_of_an_answer(self) -> None:
        def cut(line: socket.socket) -> None:
            line.sendall(GREETING)
            line.recv(100)
            line.sendall(pattern(50))

        finished = talk(cut, "--say", "big 100")
        self.assert_fails(finished, "the server hung up before it had answered `big 100`")

    def test_resets_in_the_middle(self) -> None:
        def resets(line: socket.socket) -> None:
            line.sendall(GREETING)
            line.recv(100)
            hard_reset(line)

        finished = talk(resets, "--say", "0")
        self.assert_fails(finished, "the server reset the connection")

    def test_resets_instead_of_a_goodbye(self) -> None:
        def resets(line: socket.socket) -> None:
            line.sendall(GREETING)
            line.recv(100)
            hard_reset(line)

        self.assert_fails(talk(resets, "--say", "exit"), "the server reset the connection")

    def test_hangs_up_unasked(self) -> None:
        with Server(lambda line: line.sendall(GREETING)) as server:
            client = start(CLIENT, "--port", server.port)
            self.assertEqual(client.wait(DEADLINE), 1)
            _, errors = client.communicate()
        self.assertIn("the server hung up, and nobody had said goodbye", errors)

    def test_stopped_while_we_wait(self) -> None:
        with Server(greets_then()) as server:
            client = start(CLIENT, "--port", server.port, "--say", "sleep 60000")
            wait_for(client, "> sleep")
            server.stop()
            _, errors = client.communicate(timeout=DEADLINE)
        self.assertEqual(client.returncode, 1)
        self.assertIn("the server hung up before it had answered `sleep 60000`", errors)

    def test_garbage_is_shown_and_harmless(self) -> None:
        garbage = b"\xff\xfe\xc0\x80\x00 \x1b[2J\x1b]0;owned\x07\r\n"
        finished = talk(greets_then(garbage), "--say", "0")
        self.assert_went_well(finished)
        self.assertIn(r"< \xff\xfe\xc0\x80\x00 \x1b[2J\x1b]0;owned\x07" + "\n", finished.stdout)
        self.assertNotIn("\x1b", finished.stdout)

    def test_a_line_without_an_end(self) -> None:
        finished = talk(greets_then(b"." * 3_000_000), "--say", "0")
        self.assert_fails(finished, "bytes without a newline")

    def test_an_answer_that_drips(self) -> None:
        def drips(line: socket.socket) -> None:
            for _ in range(round(TIMEOUT / 0.05)):
                line.sendall(b".")
                time.sleep(0.05)  # The habit under test: it drips.

        # Whoever takes each drop for a new beginning hears the end of the stream instead.
        finished = talk(drips, "--no-greeting", "--timeout", scaled(1), "--say", "0")
        self.assert_fails(finished, "did not send the rest of a line in time")


class Usage(Client):
    def test_wrong_options(self) -> None:
        wrong: list[list[str]] = [
            [],
            ["--port", "0"],
            ["--port", "65536"],
            ["--port", "abc"],
            ["--port", "-1"],
            ["--port", " 80"],
            ["--port", "1_0"],
            ["--port", "٣"],
            ["--port", "9" * 5000],
            ["--port", ""],
            ["--port"],
            ["--port", "1", "--timeout", "0"],
            ["--port", "1", "--timeout", "nan"],
            ["--port", "1", "--timeout", "inf"],
            ["--port", "1", "--bind", "nowhere"],
            ["--port", "1", "--log", "/no/such/folder/log"],
            ["--port", "1", "--say"],
            ["--port", "1", "extra"],
            ["--port", "1", "--nonsense"],
        ]
        for options in wrong:
            with self.subTest(options=options):
                finished = run(CLIENT, *options)
                self.assertEqual((finished.returncode, finished.stdout), (2, ""))
                self.assertIn(f"{CLIENT}: error: ", finished.stderr)
                self.assertNotIn("Traceback", finished.stderr)

    def test_help(self) -> None:
        finished = run(CLIENT, "--help")
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))
        for word in ("--say", "--bind", "130: Ctrl-C", "kernel's queue"):
            self.assertIn(word, finished.stdout)

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        finished = run(CLIENT, "--port", port, "--say", "0")
        self.assert_fails(finished, r"nobody listens .* Start it with ./lab run LESSON")

    def test_ctrl_c(self) -> None:
        with Server(hotline) as server:
            client = start(CLIENT, "--port", server.port)
            wait_for(client, "Welcome")
            client.send_signal(signal.SIGINT)
            output, errors = client.communicate(timeout=DEADLINE)
        self.assertEqual((client.returncode, output, errors), (130, "", ""))

    def test_a_reader_who_leaves(self) -> None:
        with Server(hotline) as server:
            with start(CLIENT, "--port", server.port) as client:
                assert client.stdin and client.stdout and client.stderr
                wait_for(client, "Welcome")
                client.stdout.close()
                client.stdin.write("0\n" * 10)
                client.stdin.close()
                self.assertEqual(client.stderr.read(), "")
                self.assertEqual(client.wait(DEADLINE), 1)

    def test_output_that_cannot_be_written(self) -> None:
        for options in (["--help"], ["--say", "0"]):
            with self.subTest(options=options), Server(hotline) as server:
                with open("/dev/full", "w") as full:
                    finished = subprocess.run(
                        command(CLIENT, "--port", server.port, *options),
                        stdout=full,
                        stderr=subprocess.PIPE,
                        text=True,
                        timeout=DEADLINE,
                    )
                self.assertEqual(finished.returncode, 1)
                self.assertRegex(finished.stderr, "^[^\n]*cannot write .*No space left[^\n]*\n$")

    def test_without_standard_streams(self) -> None:
        with Server(hotline) as server:
            line = command(CLIENT, "--port", server.port, "--say", "0", "exit")
            script = 'exec "$@" <&- >&- 2>&-'
            finished = subprocess.run(["sh", "-c", script, "sh", *line], timeout=DEADLINE)
        self.assertEqual(finished.returncode, 0)


class Terminal:
    """A student at a terminal."""

    def __init__(self, port: int) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command(CLIENT, "--port", port),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
            env={**os.environ, "TERM": "dumb", "INPUTRC": "/dev/null"},
        )
        os.close(theirs)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def types(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def sees(self, expected: str) -> None:
        """Waits for this text behind what was seen before."""
        deadline = time.monotonic() + DEADLINE
        while not (found := re.search(expected, self.seen)):
            self._look(deadline, expected)
        self.seen = self.seen[found.end() :]

    def is_greeted(self) -> None:
        """The prompt may have come before the greeting; it comes again behind it."""
        self.sees(r"Welcome to 10086.* \([0-9.]+ m?s\)\r\n")
        self.sees("> ")

    def _look(self, deadline: float, expected: str) -> None:
        if not select.select([self._ours], [], [], deadline - time.monotonic())[0]:
            raise AssertionError(f"waited for {expected!r}, saw {self.seen!r}")
        try:
            self.seen += os.read(self._ours, 4096).decode()
        except OSError:  # the client has ended
            raise AssertionError(f"{expected!r} never came, saw {self.seen!r}") from None

    def code(self, pressing: str = "") -> int:
        """The exit code. A key is pressed again and again, as one would: Python's readline sleeps
        through a signal that comes in the instant before its select()."""
        deadline = time.monotonic() + DEADLINE
        while pressing and time.monotonic() < deadline:
            self.types(pressing)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(1)
        return self.process.wait(DEADLINE)


class AtATerminal(Client):
    def test_a_conversation(self) -> None:
        with Server(hotline) as server, Terminal(server.port) as terminal:
            terminal.sees(r"connected to .* leaves\r\n")
            terminal.is_greeted()
            terminal.types("echo hello\r")
            terminal.sees(r"\nhello   \([0-9.]+ m?s\)\r\n")
            terminal.sees("> ")
            terminal.types("big 100000\r")
            terminal.sees(r"\(100,000 bytes, we count [0-9a-f]{8}\)")
            terminal.sees("> ")
            terminal.types("exit\r")
            terminal.sees("the server hung up\r\n")
            self.assertEqual(terminal.code(), 0)

    def test_ctrl_d_leaves(self) -> None:
        with Server(hotline) as server, Terminal(server.port) as terminal:
            terminal.is_greeted()
            terminal.types("\x04")
            terminal.sees("the server hung up\r\n")
            self.assertEqual(terminal.code(), 0)

    def test_ctrl_c_leaves(self) -> None:
        with Server(hotline) as server, Terminal(server.port) as terminal:
            terminal.is_greeted()
            terminal.types("half a li")
            terminal.sees("half a li")
            self.assertEqual(terminal.code(pressing="\x03"), 130)
            terminal.sees("\r\n")
            self.assertEqual(terminal.seen.strip(), "")

    def test_exit_leaves_a_server_that_does_not_know_the_word(self) -> None:
        def echo(line: socket.socket) -> None:
            line.sendall(GREETING)
            while data := line.recv(1000):
                line.sendall(data)

        with Server(echo) as server, Terminal(server.port) as terminal:
            terminal.is_greeted()
            terminal.types("exit\r")
            terminal.sees("\nexit   .*\r\n.*the server hung up")
            self.assertEqual(terminal.code(), 0)

    def test_what_is_said_unasked_is_shown_while_we_type(self) -> None:
        others, ours = socket.socketpair()

        def passes_on(line: socket.socket) -> None:
            line.sendall(GREETING)
            line.sendall(others.recv(100))
            converse(line)

        with others, ours, Server(passes_on) as server, Terminal(server.port) as terminal:
            terminal.is_greeted()
            terminal.types("echo ha")
            terminal.sees("echo ha")
            ours.sendall(b"127.0.0.3:5: hello there\n")
            terminal.sees("127.0.0.3:5: hello there\r\n")
            terminal.sees("> echo ha")
            terminal.types("lf\r")
            terminal.sees("\nhalf   ")

    def test_a_late_greeting_and_what_was_said_before_it(self) -> None:
        with Server(hotline, one_at_a_time=True) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as first:
                first.settimeout(DEADLINE)
                first.recv(100)
                with Terminal(server.port) as terminal:
                    terminal.sees(r"\(the server has not accepted us yet\?\)\r\n")
                    terminal.sees("> ")
                    terminal.types("echo early\r")
                    terminal.sees("no answer yet")
                    terminal.sees("> ")
                    first.sendall(b"exit\n")
                    first.close()
                    terminal.sees("Welcome to 10086")
                    terminal.sees("early   ")
                    terminal.types("\x04")
                    self.assertEqual(terminal.code(), 0)

    def test_a_server_that_stops_while_we_type(self) -> None:
        with Server(hotline) as server, Terminal(server.port) as terminal:
            terminal.is_greeted()
            terminal.types("echo ha")
            terminal.sees("echo ha")
            server.stop()
            terminal.sees("the server hung up, and nobody had said goodbye")
            self.assertEqual(terminal.code(), 1)


if __name__ == "__main__":
    unittest.main()
