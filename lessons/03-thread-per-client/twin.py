#!/usr/bin/env python3
"""03 thread per client, the twin: the lesson's server once more, in Python.

Every caller has a thread, and a thread may sleep: in recv(), in send(), in a handler's nap. Only
that caller waits then. What the threads share stands in the Office, behind one lock. Whoever holds
the lock thinks, and nobody who holds it sleeps: no send() and no recv() is inside.

So what somebody says is put into the services of the others and sent by their own threads. Those
may be asleep, waiting for their callers' words; each has a bell beside the caller's socket, and
waits for either.

Python runs one thread at a time (the GIL), yet it may change threads between any two instructions:
`count` without the lock would lose numbers here as it does in C++.
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import threading
import time
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))

import new_enough  # this Python, or it says so
from hotline import Hotline, Service, Switchboard, make_service
from serving import PASSING, SHORT_OF_ROOM, TICK, Bell, Patience, StopFlag, TooLate
from serving import bell_for_signals, fill_standard_streams, listen_on, log_line, parse_options
from serving import say_goodbye, wake_reader

MOST_THREADS = 500  # unless --max-clients says otherwise: a thread is not free


class Office(Switchboard):
    """What all threads share: who is on the line, the counter, the talk. All of it is for holders
    of the lock, and so is every service, since others may put a line into it."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.connections: set[Connection] = set()

    def say(self, speaker: Hotline, line: bytes) -> None:
        super().say(speaker, line)
        for connection in self.connections:
            connection.bell.ring()


class Connection:
    """One caller, their service and their thread. It is made by the thread that accepts."""

    def __init__(
        self, caller: socket.socket, options: argparse.Namespace, office: Office, stop: StopFlag
    ) -> None:
        self.caller = caller
        self.service_name = options.service
        self.office = office
        self.stop = stop
        self.patience = Patience(options.idle_timeout, stop)
        self.bell = Bell()
        self.news = select.poll()  # not select(): a crowd has descriptors beyond 1,023
        self.news.register(caller, select.POLLIN)
        self.news.register(self.bell, select.POLLIN)

    def live(self) -> None:
        """The whole life of the thread."""
        try:
            self.caller.settimeout(TICK)
            with self.office.lock:
                service = make_service(self.service_name, "thread", self.caller, self.office)
            try:
                self.talk(service)
            finally:
                with self.office.lock:
                    service.close()
            say_goodbye(self.caller, self.stop)
        except (OSError, TooLate) as error:
            log_line(f"lost a caller: {error}")

    def talk(self, service: Service) -> None:
        """Returns when all is said, and when we are to stop and owe nothing."""
        while True:
            with self.office.lock:
                finished, unsent, nap = service.finished(), service.unsent(), service.nap()
            if finished:
                return
            if unsent:
                self.speak(service, unsent)
            elif nap is not None:
                self.sleep(service, nap)
            elif self.stop.asked:
                return
            else:
                self.hear(service)
            self.patience.check(time.monotonic())

    def speak(self, service: Service, unsent: bytes) -> None:
        """A caller who does not read keeps us here, and nobody else."""
        try:
            sent = self.caller.send(unsent)
        except TimeoutError:
            return
        with self.office.lock:
            service.sent(sent)
        self.patience.progress()

    def hear(self, service: Service) -> None:
        """Sleeps until the caller speaks or the bell rings. On stop the main thread shuts our ear:
        then the kernel reports an end of stream that is none."""
        left = self.patience.left()
        ready = dict(self.news.poll(None if left is None else left * 1000))
        self.bell.hush()
        if self.caller.fileno() not in ready or self.stop.asked:
            return
        with self.office.lock:
            room = service.room()
        heard = self.caller.recv(min(16384, room))
        if not heard and self.stop.asked:
            return
        with self.office.lock:
            if heard:
                service.receive(heard)
            else:
                service.end_of_input()
        self.patience.heard(service.requests())

    def sleep(self, service: Service, nap: float) -> None:
        """The handler sleeps, and nobody else notices."""
        end = time.monotonic() + nap
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK))
            self.patience.progress()  # It is we who are slow.
            self.patience.check(time.monotonic())
        with self.office.lock:
            service.woke()

    def close(self) -> None:
        self.bell.close()
        self.caller.close()


class Server:
    """The thread that accepts, and the threads that it starts."""

    def __init__(self, options: argparse.Namespace, stop: StopFlag, bell: Bell) -> None:
        self.options = options
        self.most = options.max_clients or MOST_THREADS
        self.stop = stop
        self.bell = bell
        self.office = Office()
        self.numbers = count(1)

    def run(self, listener: socket.socket) -> None:
        while not self.stop.asked:
            with self.office.lock:
                has_room = len(self.office.connections) < self.most
            # Whoever is too many waits in the kernel's queue. A thread that ends rings.
            watched = [self.bell, listener] if has_room else [self.bell]
            ready, _, _ = select.select(watched, [], [])
            self.bell.hush()
            if listener in ready and (caller := self.pick_up(listener)):
                self.welcome(caller)

    def pick_up(self, listener: socket.socket) -> socket.socket | None:
        try:
            caller, _ = listener.accept()
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

    def welcome(self, caller: socket.socket) -> None:
        """Starts a thread for this caller. Where no thread can be had, they are turned away."""
        try:
            connection = Connection(caller, self.options, self.office, self.stop)
        except OSError as error:
            log_line(f"lost a caller: {error}")
            caller.close()
            return
        with self.office.lock:
            self.office.connections.add(connection)
        name = f"caller {next(self.numbers)}"
        try:
            threading.Thread(target=self.accompany, args=[connection], name=name).start()
        except RuntimeError as error:
            log_line(f"lost a caller: {error}")
            self.let_go(connection)

    def accompany(self, connection: Connection) -> None:
        try:
            connection.live()
        finally:
            self.let_go(connection)

    def let_go(self, connection: Connection) -> None:
        with self.office.lock:
            self.office.connections.remove(connection)
        connection.close()  # Nobody rings or wakes it any more: its numbers may be given away.
        self.bell.ring()

    def join_all(self) -> None:
        """Wakes those who wait for words that no longer matter. Every thread then ends by itself:
        what it owes has a deadline."""
        with self.office.lock:
            for connection in self.office.connections:
                wake_reader(connection.caller)
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join()


def main() -> int:
    fill_standard_streams()
    options = parse_options("Lesson 03, thread per client: every caller has a thread.")
    with closing(bell_for_signals()) as bell:
        stop = StopFlag()
        with listen_on(options.host, options.port) as listener:
            listener.setblocking(False)
            server = Server(options, stop, bell)
            server.run(listener)
        server.join_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
