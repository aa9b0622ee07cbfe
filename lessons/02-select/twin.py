#!/usr/bin/env python3
"""02 select, the twin: the lesson's server once more, in Python.

One thread, one loop, and one call that sleeps: select() comes back when a caller speaks, when one
who is owed an answer takes more of it, when somebody calls, when a signal came, or when the nearest
deadline is there. All that a conversation must remember from one turn of the loop to the next
stands in its Connection: nobody's place is kept by a stack.

Python's select() takes whatever has a fileno() and gives the same objects back. So what it reports
can never be mixed up with another caller whose descriptor has the same number by now. The bit set
behind it is C's, and it ends at 1,024.
"""

from __future__ import annotations

import argparse
import math
import select
import socket
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))

import new_enough  # this Python, or it says so
from hotline import Service, Switchboard, make_service
from serving import GRACE, PASSING, SHORT_OF_ROOM, TICK, Bell, Patience, StopFlag, TooLate
from serving import bell_for_signals, fill_standard_streams, listen_on, log_line, parse_options

FD_SETSIZE = 1024  # descriptors that select(2) can watch: 0 to 1,023
AT_A_TIME = 64  # callers who are picked up in one turn: those on the line wait meanwhile


class Connection:
    """One caller and their service, between two turns of the loop."""

    def __init__(
        self, caller: socket.socket, service: Service, idle_timeout: float, stop: StopFlag
    ) -> None:
        self.caller = caller
        self.service = service
        self.stop = stop
        self.patience = Patience(idle_timeout, stop)
        self.end_of_goodbye = math.inf  # or else we have said goodbye, and wait for theirs
        self.over = False

    def fileno(self) -> int:
        return self.caller.fileno()

    def is_leaving(self) -> bool:
        return self.end_of_goodbye < math.inf

    def is_owed(self) -> bool:
        """Only then do we ask whether they can be spoken to. A socket with room in it is always
        ready for that, so asking without need would keep the loop from ever sleeping. And while it
        is so we do not read: who does not take the answers asks no more questions (backpressure).
        """
        return not self.is_leaving() and bool(self.service.unsent())

    def deadline(self) -> float:
        return min(self.end_of_goodbye, self.patience.end)

    def go_on(self) -> None:
        """select() has said that we can. It is a hint, not a promise: what was there may be gone,
        and a call that would sleep then says so, as the socket does not block."""
        with suppress(BlockingIOError):
            if self.is_leaving():
                self.over = not self.caller.recv(16384)
            elif self.service.unsent():
                self.speak()
            else:
                self.hear()

    def speak(self) -> None:
        self.service.sent(self.caller.send(self.service.unsent()))
        self.patience.progress()

    def hear(self) -> None:
        """One piece and no more: who has a lot to say waits for the others in each turn."""
        heard = self.caller.recv(min(16384, self.service.room()))
        if heard:
            self.service.receive(heard)
        else:
            self.service.end_of_input()
        self.patience.heard(self.service.requests())

    def look_around(self, now: float) -> None:
        """At the end of each turn: is there a nap to take, is all said, is it too late?"""
        while not self.service.unsent() and (nap := self.service.nap()) is not None:
            self.sleep(nap)
        if self.is_leaving():
            self.over = self.over or now > self.deadline()
        elif self.service.finished() or (self.stop.asked and not self.service.unsent()):
            self.say_goodbye()
        else:
            self.patience.check(now)

    def sleep(self, nap: float) -> None:
        """The handler sleeps, and with it everybody: this is the limit of one thread."""
        end = time.monotonic() + nap
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK))
            self.patience.progress()  # It is we who are slow.
            self.patience.check(time.monotonic())
        self.service.woke()

    def say_goodbye(self) -> None:
        self.service.close()
        self.end_of_goodbye = time.monotonic() + GRACE
        with suppress(OSError):  # They may be gone; then the next recv() says so.
            self.caller.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if not self.is_leaving():
            self.service.close()
        self.caller.close()


class Server:
    """Everybody on the line, and the loop."""

    def __init__(
        self, listener: socket.socket, options: argparse.Namespace, stop: StopFlag, bell: Bell
    ) -> None:
        self.listener = listener
        self.options = options
        self.stop = stop
        self.bell = bell
        self.switchboard = Switchboard()
        self.connections: set[Connection] = set()
        self.end_of_rest = 0.0  # until then nobody is picked up

    def run(self) -> None:
        """Returns when we are to stop, and all that was owed is sent or too late."""
        while not self.stop.asked or self.connections:
            ready = self.wait()
            # The clock as it stood before anybody was served: who had no turn while a handler slept
            # may have spoken since, and is not too late.
            now = time.monotonic()
            for connection in list(self.connections):
                self.attend(connection, connection in ready, now)
            if self.bell in ready:
                self.bell.hush()
            if self.listener in ready:
                self.pick_up()

    def wait(self) -> set[Any]:
        """Sleeps until something can be done, and gives those with whom it can."""
        owed = [connection for connection in self.connections if connection.is_owed()]
        quiet: list[Any] = [self.bell, *self.connections.difference(owed)]
        deadlines = [connection.deadline() for connection in self.connections]
        now = time.monotonic()
        if now < self.end_of_rest:
            deadlines.append(self.end_of_rest)
        elif self.has_room():
            quiet.append(self.listener)
        nearest = min(deadlines, default=math.inf)
        timeout = None if nearest == math.inf else max(nearest - now, 0)
        readable, writable, _ = select.select(quiet, owed, [], timeout)
        return {*readable, *writable}

    def attend(self, connection: Connection, is_ready: bool, now: float) -> None:
        try:
            if is_ready:
                connection.go_on()
            connection.look_around(now)
        except (OSError, TooLate) as error:
            log_line(f"lost a caller: {error}")
            connection.over = True
        if connection.over:
            self.connections.remove(connection)
            connection.close()
            self.end_of_rest = 0.0  # A descriptor is free.

    def has_room(self) -> bool:
        most = self.options.max_clients or math.inf
        return not self.stop.asked and len(self.connections) < most

    def pick_up(self) -> None:
        """The listener does not block either: a caller may be gone between select() and accept()."""
        for _ in range(AT_A_TIME):
            if not self.has_room():
                return
            try:
                caller, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORT_OF_ROOM:
                    log_line(f"no room for a caller: {error.strerror}; I wait a second")
                    self.end_of_rest = time.monotonic() + 1
                    return
                if error.errno not in PASSING:
                    raise
            else:
                self.welcome(caller)

    def welcome(self, caller: socket.socket) -> None:
        if caller.fileno() >= FD_SETSIZE:
            log_line(f"refused a caller: select() cannot watch descriptor {caller.fileno()}")
            caller.close()
            return
        caller.setblocking(False)
        service = make_service(self.options.service, "select", caller, self.switchboard)
        idle_timeout = self.options.idle_timeout
        self.connections.add(Connection(caller, service, idle_timeout, self.stop))


def main() -> int:
    fill_standard_streams()
    options = parse_options("Lesson 02, select: one thread waits for everybody at once.")
    with closing(bell_for_signals()) as bell:
        stop = StopFlag()
        with listen_on(options.host, options.port) as listener:
            listener.setblocking(False)
            Server(listener, options, stop, bell).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
