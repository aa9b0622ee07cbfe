#!/usr/bin/env python3
"""01 blocking socket, the twin: step 9 once more, in Python.

Python's calls do some of our work: they raise where C returns -1, go on after a signal (PEP 475),
and close a socket at the end of `with`. What remains is the idea: no call sleeps for longer than a
tick, a deadline counts from the last request, goodbye is said before close().
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))

import new_enough  # this Python, or it says so
from hotline import Service, Switchboard, make_service
from serving import PASSING, SHORT_OF_ROOM, TICK, Patience, StopFlag, TooLate
from serving import fill_standard_streams, listen_on, log_line, parse_options, say_goodbye


class Connection:
    """One caller and their service."""

    def __init__(
        self, caller: socket.socket, service: Service, idle_timeout: float, stop: StopFlag
    ) -> None:
        self.caller = caller
        self.service = service
        self.stop = stop
        self.patience = Patience(idle_timeout, stop)

    def run(self) -> None:
        """Returns when all is said, and when we are to stop and owe nothing."""
        while not self.service.finished():
            if self.service.unsent():
                self.speak()
            elif (nap := self.service.nap()) is not None:
                self.sleep(nap)
            elif self.stop.asked:
                return
            else:
                self.hear()
            self.patience.check(time.monotonic())

    def speak(self) -> None:
        try:
            self.service.sent(self.caller.send(self.service.unsent()))
        except TimeoutError:
            return
        self.patience.progress()

    def hear(self) -> None:
        try:
            heard = self.caller.recv(min(16384, self.service.room()))
        except TimeoutError:
            return
        if heard:
            self.service.receive(heard)
        else:
            self.service.end_of_input()
        self.patience.heard(self.service.requests())

    def sleep(self, nap: float) -> None:
        """The handler sleeps, and with it the whole server."""
        end = time.monotonic() + nap
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK))
            self.patience.progress()  # It is we who are slow.
            self.patience.check(time.monotonic())
        self.service.woke()


def pick_up(listener: socket.socket) -> socket.socket | None:
    """The next caller, if one comes within a tick."""
    try:
        caller, _ = listener.accept()
        return caller
    except TimeoutError:
        return None
    except OSError as error:
        if error.errno in SHORT_OF_ROOM:
            log_line(f"no room for a caller: {error.strerror}; I wait a second")
            time.sleep(1)
        elif error.errno not in PASSING:
            raise
        return None


def main() -> int:
    fill_standard_streams()
    options = parse_options("Lesson 01, blocking socket: one caller after another.")
    stop = StopFlag()
    switchboard = Switchboard()
    with listen_on(options.host, options.port) as listener:
        listener.settimeout(TICK)
        while not stop.asked:
            caller = pick_up(listener)
            if caller is None:
                continue
            try:
                with caller:
                    caller.settimeout(TICK)
                    service = make_service(options.service, "blocking", caller, switchboard)
                    with closing(service):
                        Connection(caller, service, options.idle_timeout, stop).run()
                    say_goodbye(caller, stop)
            except (OSError, TooLate) as error:
                log_line(f"lost a caller: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
