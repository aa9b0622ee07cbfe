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

from hotline import Service, Switchboard, make_service
from serving import (
    PASSING,
    SHORT_OF_ROOM,
    StopFlag,
    fill_standard_streams,
    listen_on,
    log_line,
    parse_options,
)

TICK = 0.25  # seconds that a call may sleep before we look around
GRACE = 1.0  # seconds for the end, after SIGTERM and after goodbye


class TooLate(Exception):
    """The caller is too slow, or we have to stop."""


class Connection:
    """One caller and their service."""

    def __init__(
        self, caller: socket.socket, service: Service, idle_timeout: float, stop: StopFlag
    ) -> None:
        self.caller = caller
        self.service = service
        self.idle_timeout = idle_timeout
        self.stop = stop
        self.last_progress = time.monotonic()
        self.requests = 0

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
            self.look_at_the_clock()

    def speak(self) -> None:
        try:
            self.service.sent(self.caller.send(self.service.unsent()))
        except TimeoutError:
            return
        self.last_progress = time.monotonic()

    def hear(self) -> None:
        try:
            heard = self.caller.recv(min(16384, self.service.room()))
        except TimeoutError:
            return
        if heard:
            self.service.receive(heard)
        else:
            self.service.end_of_input()
        if self.service.requests() != self.requests:
            self.requests = self.service.requests()
            self.last_progress = time.monotonic()

    def sleep(self, nap: float) -> None:
        """The handler sleeps, and with it the whole server."""
        end = time.monotonic() + nap
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK))
            self.last_progress = time.monotonic()
            self.look_at_the_clock()
        self.service.woke()

    def look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self.stop.asked and now > self.stop.end_of_grace(GRACE):
            raise TooLate("no time left to stop")
        if self.idle_timeout and now > self.last_progress + self.idle_timeout:
            raise TooLate("too slow")


def say_goodbye(caller: socket.socket, deadline: float) -> None:
    """Ends our direction, then reads and forgets what the caller still says (step 8)."""
    caller.shutdown(socket.SHUT_WR)
    while time.monotonic() < deadline:
        try:
            if not caller.recv(16384):
                return
        except TimeoutError:
            pass


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
                    late = stop.end_of_grace(GRACE) if stop.asked else time.monotonic() + GRACE
                    say_goodbye(caller, late)
            except (OSError, TooLate) as error:
                log_line(f"lost a caller: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
