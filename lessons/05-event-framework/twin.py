#!/usr/bin/env python3
"""05 event framework, the twin: the lesson's server once more, in Python.

Python brings the framework along: asyncio has the loop, its clock, the transports. What we write is
a protocol. The loop calls it when a caller is there, when they have said something, when they say
no more, when they are gone. No function here waits, and so none needs to know about the others.

A nap of a handler becomes a call_later(): the loop goes on, and calls us when it is over. That is
all the difference to the twin of lesson 02, where everybody slept along.

asyncio would also accept for us (create_server). But it cannot be told to let callers wait in the
queue for a while, as --max-clients asks for. And when no descriptor is left, it tries again without
a rest, as often as the queue is long. So the door is our own: a listener, watched by the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))

import new_enough  # this Python, or it says so
from hotline import Hotline, Service, Switchboard, make_service
from serving import GRACE, PASSING, SHORT_OF_ROOM
from serving import fill_standard_streams, give_up, listen_on, log_line, parse_options

AT_A_TIME = 64  # callers who are picked up in one turn: those on the line wait meanwhile
HEARD = memoryview(bytearray(64 * 1024))  # One for all: who is called back empties it at once.


class Conversation(asyncio.BufferedProtocol):
    """One caller and their service. A BufferedProtocol says for each read how much it can take; a
    plain Protocol gets up to 256 KiB in data_received(), and has to put them somewhere."""

    transport: asyncio.Transport
    service: Service

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.clock: asyncio.TimerHandle | None = None  # the deadline, or the end of the goodbye
        self.nap: asyncio.TimerHandle | None = None
        self.turn: asyncio.Handle | None = None
        self.full = False  # the kernel takes no more, and the transport keeps the rest
        self.ended = False  # they say no more
        self.leaving = False  # we say no more
        self.requests = 0

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=0)  # We want to know of each byte that stays behind.
        caller = transport.get_extra_info("socket")
        self.service = make_service(self.server.options.service, "event", caller, self.server)
        self.server.conversations.add(self)
        self.progress()
        self.watch_clock()
        self.go_on()

    def get_buffer(self, sizehint: int) -> memoryview:
        return HEARD if self.leaving else HEARD[: self.service.room()]

    def buffer_updated(self, nbytes: int) -> None:
        """They have spoken. Once we have said goodbye, it does not matter what they say."""
        if not self.leaving:
            self.service.receive(bytes(HEARD[:nbytes]))
            self.go_on()

    def eof_received(self) -> bool:
        """They say no more, and perhaps they still listen. True: the transport stays open."""
        self.ended = True
        if self.leaving:
            return False
        self.service.end_of_input()
        self.go_on()
        return True

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self.progress()
        self.soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Comes once, and nothing comes after it."""
        if exc:
            log_line(f"lost a caller: {exc}")
        for timer in (self.clock, self.nap, self.turn):
            if timer:
                timer.cancel()
        self.service.close()
        self.server.has_left(self)

    # What we do then.

    def soon(self) -> None:
        """A turn after those of all who are ready now. This keeps one answer of a gigabyte, taken as
        fast as we can give it, from being the only thing that we do."""
        if not self.turn:
            self.turn = self.loop.call_soon(self.take_turn)

    def take_turn(self) -> None:
        self.turn = None
        if not self.transport.is_closing():
            self.go_on()

    def go_on(self) -> None:
        """Something has happened. What can be done now?"""
        if self.leaving:
            return
        self.listen_for_progress()
        if not self.full and self.service.unsent():
            self.speak()
        if not self.is_owed():
            nap = self.service.nap()
            if nap is not None and not self.nap:
                self.nap = self.loop.call_later(nap, self.wake_up)
            if self.service.finished() or (self.server.stopping and nap is None):
                self.say_goodbye()
        self.choose_to_read()

    def is_owed(self) -> bool:
        return self.full or bool(self.service.unsent())

    def speak(self) -> None:
        """One piece: what the kernel does not take stays with the transport, and we are told."""
        piece = self.service.unsent()
        self.transport.write(piece)
        self.service.sent(len(piece))
        self.progress()
        if self.service.unsent():
            self.soon()

    def wake_up(self) -> None:
        self.nap = None
        self.service.woke()
        self.progress()  # It is we who were slow.
        self.go_on()

    def choose_to_read(self) -> None:
        """Backpressure: who does not take the answers asks no more questions. After an end nobody
        may look again: it stays ready for ever."""
        wanted = self.leaving or not self.is_owed() and self.service.room() > 0
        if not wanted or self.ended:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def say_goodbye(self) -> None:
        self.leaving = True
        if self.ended:
            self.transport.close()
            return
        with suppress(OSError):  # They may be gone; then the next read says so.
            self.transport.write_eof()
        if self.clock:
            self.clock.cancel()
        self.clock = self.loop.call_later(GRACE, self.transport.abort)

    # How long they may take.

    def progress(self) -> None:
        self.last_progress = self.loop.time()

    def listen_for_progress(self) -> None:
        """A caller who drips one byte now and then makes none. A whole request is progress."""
        if self.service.requests() != self.requests:
            self.requests = self.service.requests()
            self.progress()

    def watch_clock(self) -> None:
        """A timer is not moved at each word: when its time has come, it looks what has been said."""
        patience = self.server.options.idle_timeout or math.inf
        left = patience if self.nap else self.last_progress + patience - self.loop.time()
        if left <= 0:
            self.lose("too slow")
        elif left < math.inf:
            self.clock = self.loop.call_later(left, self.watch_clock)

    def lose(self, why: str) -> None:
        log_line(f"lost a caller: {why}")
        self.transport.abort()


class Server(Switchboard):
    """The door, and what all callers share. It builds a protocol for each: Twisted's Factory."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.options = options
        self.loop = asyncio.get_running_loop()
        self.conversations: set[Conversation] = set()
        self.welcomes: set[asyncio.Task[None]] = set()  # who is picked up, and not yet connected
        self.stopping = False
        self.door_is_open = False
        self.rest: asyncio.TimerHandle | None = None  # until then nobody is picked up
        self.over = self.loop.create_future()
        self.loop.set_exception_handler(self.complain)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.stop)

    async def run(self) -> None:
        """Returns when we are to stop, and all that was owed is sent or too late."""
        with listen_on(self.options.host, self.options.port) as self.listener:
            self.listener.setblocking(False)
            self.turn_door()
            await self.over

    def say(self, speaker: Hotline, line: bytes) -> None:
        super().say(speaker, line)
        for conversation in self.conversations:
            conversation.soon()

    def stop(self) -> None:
        # Once is enough. At its end asyncio forgets our handlers, and one more would kill us then.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        self.stopping = True
        self.turn_door()
        self.listener.close()
        for conversation in self.conversations:
            conversation.soon()
        self.loop.call_later(GRACE, self.lose_all)

    def lose_all(self) -> None:
        for conversation in self.conversations:
            conversation.lose("no time left to stop")

    # The door.

    def turn_door(self) -> None:
        """Opens and closes it. Who comes while it is closed waits in the kernel's queue."""
        here = len(self.conversations) + len(self.welcomes)
        has_room = here < (self.options.max_clients or math.inf)
        wanted = has_room and not (self.rest or self.stopping or self.over.done())
        if wanted and not self.door_is_open:
            self.loop.add_reader(self.listener, self.pick_up)
        elif self.door_is_open and not wanted:
            self.loop.remove_reader(self.listener)
        self.door_is_open = wanted
        if self.stopping and here == 0 and not self.over.done():
            self.over.set_result(None)

    def pick_up(self) -> None:
        for _ in range(AT_A_TIME):
            if not self.door_is_open:
                return
            try:
                caller, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.nobody(error)
            else:
                self.let_in(caller)

    def nobody(self, error: OSError) -> None:
        if error.errno in SHORT_OF_ROOM:
            log_line(f"no room for a caller: {error.strerror}; I wait a second")
            self.rest = self.loop.call_later(1, self.end_rest)
        elif error.errno not in PASSING:
            self.over.set_exception(error)
        self.turn_door()

    def end_rest(self) -> None:
        if self.rest:
            self.rest.cancel()
        self.rest = None
        self.turn_door()

    def let_in(self, caller: socket.socket) -> None:
        task = self.loop.create_task(self.welcome(caller))
        self.welcomes.add(task)
        task.add_done_callback(self.has_been_let_in)
        self.turn_door()

    async def welcome(self, caller: socket.socket) -> None:
        """From here on the socket belongs to a transport, and the transport calls the protocol."""
        try:
            await self.loop.connect_accepted_socket(lambda: Conversation(self), caller)
        except OSError as error:
            log_line(f"lost a caller: {error}")
            caller.close()

    def has_been_let_in(self, task: asyncio.Task[None]) -> None:
        self.welcomes.remove(task)
        self.turn_door()

    def has_left(self, conversation: Conversation) -> None:
        self.conversations.remove(conversation)
        self.end_rest()  # A descriptor is free.

    @staticmethod
    def complain(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What went wrong in a callback. asyncio would write a traceback, and go on as well."""
        log_line(f"{context['message']} ({context.get('exception', 'nothing was raised')!r})")


async def serve(options: argparse.Namespace) -> None:
    await Server(options).run()


def main() -> int:
    fill_standard_streams()
    options = parse_options("Lesson 05, event framework: nobody waits, and everybody is called.")
    try:
        asyncio.run(serve(options))
    except OSError as error:  # The door is broken: accept() fails for a reason that will not pass.
        give_up(f"accept: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
