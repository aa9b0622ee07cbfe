#!/usr/bin/env python3
"""04 fork per client, the twin: the lesson's server once more, in Python.

Every caller has a process of their own. fork() copies everything: the memory, so that nothing a
child does can harm anybody else, and the descriptors, so that each side closes what is the other's.
What is to be shared must be made so: `count` is exact since its number stands in memory that all
processes map. The talk is not shared: what somebody says reaches nobody.
"""

from __future__ import annotations

import argparse
import fcntl
import mmap
import os
import select
import signal
import socket
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))

import new_enough  # this Python, or it says so
from hotline import Service, Switchboard, make_service
from serving import PASSING, SHORT_OF_ROOM, TICK, Bell, Patience, StopFlag, TooLate
from serving import bell_for_signals, fill_standard_streams, listen_on, log_line, parse_options
from serving import say_goodbye, wake_reader

MOST_CHILDREN = 200  # unless --max-clients says otherwise: a process is not free
LAST_RESORT = 0.5  # seconds that a child may need beyond its grace, before it is killed


class SharedCount(Switchboard):
    """Counts in memory that all processes share. The rest of a switchboard is each child's own."""

    def __init__(self) -> None:
        super().__init__()
        self._file = os.memfd_create("count")
        os.ftruncate(self._file, 8)
        self._memory = mmap.mmap(self._file, 8)

    def count(self) -> int:
        # A lock that the kernel holds for a process, and takes back from one that dies with it. A
        # lock in shared memory would stay locked for ever.
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        number = int.from_bytes(self._memory[:]) + 1
        self._memory[:] = number.to_bytes(8)
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        return number


class Connection:
    """One caller and their service, in a process where nobody else is."""

    def __init__(
        self, caller: socket.socket, service: Service, idle_timeout: float, stop: StopFlag
    ) -> None:
        self.caller = caller
        self.service = service
        self.stop = stop
        self.patience = Patience(idle_timeout, stop)

    def run(self) -> None:
        """Returns when all is said, and when we are to stop and owe nothing."""
        # Where a signal finds us asleep in recv(), Python would go back to sleep after it. The
        # handler makes an end of stream of it, which is there even if the sleep is yet to begin.
        self.stop.then = lambda: wake_reader(self.caller)
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
        self.caller.settimeout(TICK)
        try:
            self.service.sent(self.caller.send(self.service.unsent()))
        except TimeoutError:
            return
        self.patience.progress()

    def hear(self) -> None:
        self.caller.settimeout(self.patience.left())
        try:
            heard = self.caller.recv(min(16384, self.service.room()))
        except TimeoutError:
            return
        if heard:
            self.service.receive(heard)
        elif not self.stop.asked:
            self.service.end_of_input()
        self.patience.heard(self.service.requests())

    def sleep(self, nap: float) -> None:
        """The handler sleeps, and nobody else notices."""
        end = time.monotonic() + nap
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK))
            self.patience.progress()  # It is we who are slow.
            self.patience.check(time.monotonic())
        self.service.woke()


class Server:
    """The parent: it accepts, forks, and buries its children."""

    def __init__(
        self, listener: socket.socket, options: argparse.Namespace, stop: StopFlag, bell: Bell
    ) -> None:
        self.listener = listener
        self.options = options
        self.stop = stop
        self.bell = bell
        self.switchboard = SharedCount()
        self.children: set[int] = set()

    def run(self) -> None:
        most = self.options.max_clients or MOST_CHILDREN
        while not self.stop.asked:
            # Whoever is too many waits in the kernel's queue. A child that ends wakes us.
            has_room = len(self.children) < most
            watched = [self.bell, self.listener] if has_room else [self.bell]
            ready, _, _ = select.select(watched, [], [])
            self.bell.hush()
            self.reap()
            if self.listener in ready and (caller := self.pick_up()):
                with caller:  # Our copy: while it is open, the caller sees no end of stream.
                    self.fork_for(caller)

    def pick_up(self) -> socket.socket | None:
        try:
            caller, _ = self.listener.accept()
            return caller
        except BlockingIOError:  # They are gone already.
            return None
        except OSError as error:
            if error.errno in SHORT_OF_ROOM:
                log_line(f"no room for a caller: {error.strerror}; I wait a second")
                select.select([self.bell], [], [], 1)
            elif error.errno not in PASSING:
                raise
            return None

    def fork_for(self, caller: socket.socket) -> None:
        try:
            child = os.fork()
        except OSError as error:
            log_line(f"lost a caller: no process for them: {error.strerror}")
            return
        if child == 0:
            self.live_as_a_child(caller)
        self.children.add(child)

    def live_as_a_child(self, caller: socket.socket) -> NoReturn:
        try:
            self.listener.close()
            signal.set_wakeup_fd(-1)
            self.bell.close()
            service = make_service(self.options.service, "fork", caller, self.switchboard)
            Connection(caller, service, self.options.idle_timeout, self.stop).run()
            say_goodbye(caller, self.stop)
        except (OSError, TooLate) as error:
            log_line(f"lost a caller: {error}")
        finally:
            # exit() would go back up through the parent's code, which this child has a copy of.
            os._exit(0)

    def reap(self) -> None:
        """Takes the status of every child that has ended; until then it is a zombie. One SIGCHLD
        may stand for many of them, so we ask until there is none."""
        while self.children:
            child, _ = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            self.children.remove(child)

    def stop_children(self) -> None:
        """A child ends as a server of lesson 01 does; what it owes has a deadline."""
        for child in self.children:
            os.kill(child, signal.SIGTERM)
        end = self.stop.end + LAST_RESORT
        while self.children and (left := end - time.monotonic()) > 0:
            select.select([self.bell], [], [], left)
            self.bell.hush()
            self.reap()
        for child in self.children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def main() -> int:
    fill_standard_streams()
    options = parse_options("Lesson 04, fork per client: every caller has a process.")
    with closing(bell_for_signals()) as bell:
        stop = StopFlag()
        # A handler that does nothing: without one the signal would not ring the bell either.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with listen_on(options.host, options.port) as listener:
            listener.setblocking(False)
            server = Server(listener, options, stop, bell)
            server.run()
        server.stop_children()
    return 0


if __name__ == "__main__":
    sys.exit(main())
