#!/usr/bin/env python3
"""Talk to the server of lesson 01, line by line.

At a terminal you type and the server answers; `exit` or Ctrl-D leaves. In a script, --say or
standard input has the lines, and each is said when the one before is answered. Either way you see
what comes, and when.

The kernel connects us before the server knows of us. The greeting is the first sign that the
server itself has taken the call: until then we stand in the kernel's queue.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
import termios
import threading
import time
from collections.abc import Iterator

from conversation import LATE, Conversation, span
from talk import OutputLost, Parser, TalkError
from talk import address_text, caller_for, display, leave, read_input, run, who_calls, whom_to_call

with contextlib.suppress(ImportError):
    import readline  # gives input() a history and arrow keys

PROMPT, CLEAR = "> ", "\r\x1b[K"


def main() -> int:
    options = parse()
    at_terminal = not options.say and is_terminal()
    screen = Screen(at_terminal)
    with caller_for(options) as caller:
        talk = Conversation(caller, screen, greets=not options.no_greeting)
        hint = "; type a line, `exit` or Ctrl-D leaves" if at_terminal else f" from {caller.local}"
        screen.notice(f"connected to {address_text(options.host, options.port)}{hint}")
        talk.await_greeting(LATE if at_terminal else options.timeout)
        if at_terminal:
            type_and_hear(talk, screen)
            if not talk.greeted:
                return 0  # nobody has taken our call, so there is no goodbye to wait for
        else:
            for line in lines_to_say(options.say) if options.say else lines_of_pipe(talk):
                talk.ask(line)
                talk.hear_all()
                if talk.over:
                    break
        talk.leave()
    return 0


def parse() -> argparse.Namespace:
    parser = Parser(__doc__, whom_to_call(), who_calls())
    parser.add_argument(
        "--say", nargs="+", action="extend", metavar="LINE", help="say these lines, one by one"
    )
    parser.add_argument(
        "--no-greeting", action="store_true", help="the server greets nobody (--service echo)"
    )
    return parser.parse_args()


def is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


class Screen:
    """Shows what is said and heard: at a terminal after how long, in a script when."""

    def __init__(self, at_terminal: bool) -> None:
        self._at_terminal = at_terminal
        self._start = time.monotonic()
        self.at_prompt = False

    def said(self, text: str) -> None:
        if not self._at_terminal:  # where it was typed, it can be read already
            self._show(">", text)

    def heard(self, text: str, since: float | None = None) -> None:
        after = f"   ({span(time.monotonic() - since)})" if self._at_terminal and since else ""
        self._show("<", text + after)

    def notice(self, text: str) -> None:
        self._show("-", text)

    def _show(self, sign: str, text: str) -> None:
        if not self._at_terminal:
            display(f"{time.monotonic() - self._start:7.3f} {sign} {text}")
        elif not self.at_prompt:
            display(text)
        else:
            # Somebody types: our line takes the place of theirs, and theirs comes again below.
            typed = readline.get_line_buffer() if "readline" in sys.modules else ""
            display(f"{CLEAR}{text}\n{PROMPT}{typed}", end="")


# Where the lines come from


def lines_to_say(words: list[str]) -> list[bytes]:
    return os.fsencode("\n".join(words)).split(b"\n")


def lines_of_pipe(talk: Conversation) -> Iterator[bytes]:
    """Each line of standard input as it comes; what the server says meanwhile is shown."""
    rest = b""
    while sys.stdin is not None and not talk.over:
        if talk.caller.readable(0):
            talk.hear()
        elif 0 in select.select([0, talk.caller.line], [], [])[0]:
            data = read_input(65536)
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
            if not data:
                break
    if rest and not talk.over:
        yield rest


def type_and_hear(talk: Conversation, screen: Screen) -> None:
    with contextlib.suppress(EOFError):
        while not talk.over:
            talk.ask(os.fsencode(typed_line(talk, screen)))
            if not talk.hear_in_time(talk.patience() if talk.greeted else LATE):
                screen.notice("no answer yet; it is shown when it comes")


def typed_line(talk: Conversation, screen: Screen) -> str:
    try:
        with Ear(talk, screen):
            return input(PROMPT)
    except (EOFError, KeyboardInterrupt):
        print()
        raise


class Ear:
    """A second thread that hears what the server says while the first one sits at the prompt."""

    def __init__(self, talk: Conversation, screen: Screen) -> None:
        self._talk, self._screen = talk, screen
        self._thread = threading.Thread(target=self._listen)
        self._enough, self._no_more = os.pipe()
        self._terminal = termios.tcgetattr(0)

    def __enter__(self) -> None:
        while self._talk.caller.readable(0) and not self._talk.over:
            self._talk.hear()
        self._screen.at_prompt = True
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        os.close(self._no_more)
        self._thread.join()
        os.close(self._enough)
        self._screen.at_prompt = False

    def _listen(self) -> None:
        code, sentence = 0, ""
        try:
            while not self._talk.over:
                if self._talk.caller.readable(0):
                    self._talk.hear()
                elif (
                    self._enough in select.select([self._enough, self._talk.caller.line], [], [])[0]
                ):
                    return
        except TalkError as error:
            code, sentence = 1, str(error)
        except OutputLost:
            leave(1)  # the terminal is gone
        # The server has left, and nobody may ever press Enter: we leave in the other's stead.
        print(CLEAR, end="")
        termios.tcsetattr(0, termios.TCSADRAIN, self._terminal)
        leave(code, sentence)


if __name__ == "__main__":
    run(main)
