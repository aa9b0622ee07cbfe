"""Each caller with a bad habit finds no fault with a right server, and finds out a wrong one."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import unittest

from processes import CLIENTS, DEADLINE, Finished, lesson_server, run, scaled, start, together
from servers import GREETING, TIMEOUT, Serve, Server, answer, hard_reset, hotline, lines

HABITS = sorted(path.stem for path in (CLIENTS / "hostile").glob("[a-z]*.py"))
SHORT = {  # options that make a habit short enough for a test
    "drip": ["--seconds", "0.4"],
    "slow_reader": ["--seconds", "0.3"],
    "never_reader": ["--seconds", "0.3", "--bytes", "16000000"],
    "idler": ["--seconds", "0.3"],
    "descriptor_eater": ["--seconds", "0.2", "--count", "100"],
    "resetter": ["--count", "4"],
}


def meet(habit: str, server: Server, *options: object) -> Finished:
    short = SHORT.get(habit, [])
    return run(f"hostile/{habit}.py", "--port", server.port, *short, *options)


# Wrong servers, one for each habit


def a_piece_is_a_line(line: socket.socket) -> None:
    line.sendall(GREETING)
    while piece := line.recv(4096):
        if piece == b"exit\n":
            return
        line.sendall(answer(piece.rstrip(b"\n")))


def sends_once(line: socket.socket) -> None:
    """What send() does not take is forgotten."""
    line.sendall(GREETING)
    for request in lines(line):
        if request == b"exit":
            return
        line.setblocking(False)
        line.send(answer(request))
        line.settimeout(TIMEOUT)


def sends_it_anew(line: socket.socket) -> None:
    """After a send() that took less, all goes out again from the beginning, cut to fit."""
    line.sendall(GREETING)
    for request in lines(line):
        if request == b"exit":
            return
        whole, sent = answer(request), 0
        while sent < len(whole):
            sent += line.send(whole[: len(whole) - sent])


def leaves_at_the_end_of_input(line: socket.socket) -> None:
    """Reads all, and takes the end of what it reads for the end of the caller."""
    line.sendall(GREETING)
    asked = b""
    while piece := line.recv(65536):
        asked += piece
        if asked.endswith(b"exit\n"):
            hotline_answers(line, asked)
            return


def hotline_answers(line: socket.socket, asked: bytes) -> None:
    for request in asked.splitlines():
        if request != b"exit":
            line.sendall(answer(request))


def forgets_the_unfinished(line: socket.socket) -> None:
    line.sendall(GREETING)
    kept = b""
    while piece := line.recv(4096):
        *whole, kept = (kept + piece).split(b"\n")
        for request in whole:
            if request == b"exit":
                return
            line.sendall(answer(request))


class DiesOfAnError:
    """The first caller who is lost takes the server along."""

    server: Server

    def __call__(self, line: socket.socket) -> None:
        try:
            line.recv(0)
            line.sendall(GREETING)
            for request in lines(line):
                if request == b"exit":
                    return
                line.sendall(answer(request))
        except OSError:
            self.server.stop()


class DiesOfABrokenPipe(DiesOfAnError):
    """SIGPIPE is not ignored; a plain reset is survived."""

    def __call__(self, line: socket.socket) -> None:
        try:
            hotline(line)
        except BrokenPipeError:
            self.server.stop()


class DiesOfMany(DiesOfAnError):
    def __init__(self, limit: int) -> None:
        self._limit, self._callers = limit, 0

    def __call__(self, line: socket.socket) -> None:
        self._callers += 1
        if self._callers >= self._limit:
            self.server.stop()
        hotline(line)


given_up = threading.Event()  # the visit to the next one is over


def never_gives_up(line: socket.socket) -> None:
    """Spins on a line that is lost, so with one thread nobody is served any more."""
    line.sendall(GREETING)
    try:
        for request in lines(line):
            line.sendall(answer(request))
    except OSError:
        given_up.wait(TIMEOUT)  # The fault under test: it does not hang up.


def drops_the_silent(after: float) -> Serve:
    def serve(line: socket.socket) -> None:
        line.sendall(GREETING)
        line.settimeout(after)
        try:
            for request in lines(line):
                if request == b"exit":
                    return
                line.sendall(answer(request))
        except TimeoutError:
            return

    return serve


def drops_whoever_takes_long(after: float) -> Serve:
    """The right kind: the time is for a whole request."""

    def serve(line: socket.socket) -> None:
        def drop() -> None:
            with contextlib.suppress(OSError):  # they have left by themselves
                line.shutdown(socket.SHUT_RDWR)

        end = threading.Timer(after, drop)
        end.start()
        try:
            hotline(line)
        finally:
            end.cancel()

    return serve


def keeps_all_in_memory(line: socket.socket) -> None:
    """Takes every question as it comes, and answers when there are no more for a while."""
    line.sendall(GREETING)
    asked: list[bytes] = []
    line.settimeout(scaled(5))
    try:
        while piece := line.recv(1 << 20):
            asked.append(piece)
    except TimeoutError:
        pass
    hotline_answers(line, b"".join(asked))


def mixes_up(line: socket.socket) -> None:
    """Answers in the order in which it likes."""
    line.sendall(GREETING)
    last = b""
    for number, request in enumerate(lines(line)):
        if request == b"exit":
            return
        if number % 100 == 50:
            last = answer(request)
        else:
            line.sendall(answer(request) + last)
            last = b""


def closes_with_bytes_unread(line: socket.socket) -> None:
    line.sendall(GREETING)
    line.recv(2000)
    line.sendall(b"Line too long\n")
    line.close()


def stores_what_never_ends(line: socket.socket) -> None:
    line.sendall(GREETING)
    while line.recv(65536):
        pass


def cuts_the_line(line: socket.socket) -> None:
    """Takes the first 1,024 bytes for the line."""
    line.sendall(GREETING)
    for request in lines(line):
        line.sendall(answer(request[:1024]))


def greets_wrongly(line: socket.socket) -> None:
    line.sendall(b"220 mail.example.org ESMTP\r\n")
    line.recv(100)


DOES_NOT_SERVE = "the next caller was not served"
IS_DEAD = f"call . of 4 failed|hung up|reset|{DOES_NOT_SERVE}"
QUICK = ["--timeout", str(scaled(2))]  # where the server is to be given up
LONG = ["--seconds", str(min(scaled(30), 600))]  # where the server makes an end of it at once
Wrong = tuple[str, Serve, list[str], str]
WRONG: list[Wrong] = [
    ("drip", a_piece_is_a_line, LONG, "after .+ of 19 bytes the server said `..*`"),
    ("drip", drops_the_silent(TIMEOUT), ["--idle-timeout", "0.5"], "I dripped for .* not dropped"),
    ("three_in_one", a_piece_is_a_line, [], "answer 2 of 3 should be `two`, but it is `echo two`"),
    ("slow_reader", sends_once, QUICK, "did not send the last .* of 800000 bytes in time"),
    ("slow_reader", sends_it_anew, [], "are not the ones that I asked for"),
    ("never_reader", never_gives_up, QUICK, DOES_NOT_SERVE),
    ("half_closer", leaves_at_the_end_of_input, [], "the server hung up"),
    ("half_closer", forgets_the_unfinished, [], "the server hung up"),
    ("half_closer", closes_with_bytes_unread, [], "reset|should be `one`"),
    ("resetter", DiesOfAnError(), [], IS_DEAD),
    ("resetter", DiesOfABrokenPipe(), [], IS_DEAD),
    ("vanisher", DiesOfAnError(), [], f"{DOES_NOT_SERVE}|call .* of 20 failed"),
    ("idler", drops_the_silent(0.1), LONG, "hung up"),
    ("idler", hotline, ["--idle-timeout", "0.3", *QUICK], "still holds the line after"),
    (
        "idler",
        drops_the_silent(0.2),
        ["--idle-timeout", "5000"],
        r"dropped us after \d+\.\d s, before 5000 s",
    ),
    ("flooder", keeps_all_in_memory, [], "bytes and I read no answer: it keeps them in its memory"),
    ("flooder", mixes_up, [], "answer 51 is"),
    ("descriptor_eater", DiesOfMany(50), [], f"{DOES_NOT_SERVE}|reset"),
    ("long_line", closes_with_bytes_unread, [], "the server reset the connection"),
    ("long_line", stores_what_never_ends, QUICK, "did not send a line in time"),
    ("long_line", cuts_the_line, [], "should be `Line too long`, but it is `Do it again`"),
]


class Habits(unittest.TestCase):
    def test_there_are_eleven(self) -> None:
        self.assertEqual(len(HABITS), 11)
        self.assertEqual({habit for habit, *_ in WRONG}, set(HABITS))

    def assert_right(self, finished: Finished) -> None:
        self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)
        self.assertRegex(finished.stdout, r"\Aright: I .*\n\Z")

    def assert_wrong(self, finished: Finished, sentence: str) -> None:
        self.assertEqual((finished.returncode, finished.stderr), (1, ""), finished)
        self.assertRegex(finished.stdout, r"\Awrong: [^\n]*\n\Z")
        self.assertRegex(finished.stdout, sentence)

    def test_a_right_server(self) -> None:
        for one_at_a_time in (False, True):

            def visit(habit: str) -> Finished:
                with Server(hotline, one_at_a_time) as server:
                    return meet(habit, server)

            for habit, finished in together(visit, HABITS):
                with self.subTest(habit, one_at_a_time=one_at_a_time):
                    self.assert_right(finished)

    def test_a_right_server_drops_the_idle(self) -> None:
        def visit(habit: str) -> Finished:
            with Server(drops_whoever_takes_long(2)) as server:
                return meet(habit, server, "--idle-timeout", 2)

        for habit, finished in together(visit, ["idler", "drip", "never_reader"]):
            with self.subTest(habit):
                self.assert_right(finished)

    def test_the_server_of_lesson_01(self) -> None:
        with lesson_server(self) as port:  # one after another: it serves one at a time

            def visit(habit: str) -> Finished:
                short = SHORT.get(habit, [])
                return run(f"hostile/{habit}.py", "--port", port, *short)

            for habit, finished in together(visit, HABITS, at_once=1):
                with self.subTest(habit):
                    self.assert_right(finished)

    def test_wrong_servers(self) -> None:
        def visit(wrong: Wrong) -> Finished:
            habit, serve, options, _ = wrong
            with Server(serve, one_at_a_time=serve is never_gives_up) as server:
                if isinstance(serve, DiesOfAnError):
                    serve.server = server
                finished = meet(habit, server, *options)
                if serve is never_gives_up:
                    given_up.set()
                return finished

        for (habit, serve, _, sentence), finished in together(visit, WRONG):
            with self.subTest(habit, serve=getattr(serve, "__name__", type(serve).__name__)):
                self.assert_wrong(finished, sentence)

    def test_no_hotline_at_all(self) -> None:
        cases: list[tuple[Server, list[str], str]] = [
            (Server(greets_wrongly), [], r"220 mail\.example\.org ESMTP"),
            (Server(hard_reset), [], "reset the connection"),
            (Server(hotline, accepts=False), ["--timeout", "0.3"], "in time|within 0.3 s"),
        ]
        for server, options, sentence in cases:
            with server:
                for habit, finished in together(
                    lambda habit: meet(habit, server, *options), HABITS
                ):
                    with self.subTest(habit, sentence=sentence):
                        self.assert_wrong(finished, sentence)


class Usage(unittest.TestCase):
    def test_help_says_who_this_is_and_what_a_right_server_does(self) -> None:
        for habit in HABITS:
            with self.subTest(habit):
                finished = run(f"hostile/{habit}.py", "--help")
                self.assertEqual(finished.returncode, 0)
                self.assertRegex(finished.stdout, "A right server|A right\nserver")

    def test_wrong_options(self) -> None:
        wrong: list[list[str]] = [
            [],
            ["--port", "0"],
            ["--port", "1", "--bytes", "0"],
            ["--port", "1", "--bytes", "1000000001"],
            ["--port", "1", "--seconds", "601"],
            ["--port", "1", "--seconds", "nan"],
            ["--port", "1", "--count", "5"],
            ["--port", "1", "--host", "8.8.8.8"],
            ["--port", "1", "--host", "no.such.host.invalid"],
        ]
        for options in wrong:
            with self.subTest(options=options):
                finished = run("hostile/slow_reader.py", *options)
                self.assertEqual((finished.returncode, finished.stdout), (2, ""), finished)
                self.assertNotIn("Traceback", finished.stderr)

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for habit in HABITS:
            with self.subTest(habit):
                finished = run(f"hostile/{habit}.py", "--port", port)
                self.assertEqual((finished.returncode, finished.stdout), (1, ""))
                self.assertRegex(finished.stderr, r"\A\w+\.py: nobody listens on [^\n]*\n\Z")

    def test_ctrl_c(self) -> None:
        greeted = threading.Event()

        def tells(line: socket.socket) -> None:
            line.sendall(GREETING)
            greeted.set()
            line.recv(1)

        with Server(tells) as server:
            idler = start("hostile/idler.py", "--port", server.port, "--seconds", 60)
            self.assertTrue(greeted.wait(DEADLINE))
            idler.send_signal(signal.SIGINT)
            self.assertEqual(idler.communicate(timeout=DEADLINE), ("", ""))
        self.assertEqual(idler.returncode, 130)


if __name__ == "__main__":
    unittest.main()
