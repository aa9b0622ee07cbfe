#!/usr/bin/env python3
"""06 socketserver, the twin: the lesson's server on the original, Python's socketserver.

The classes are there, and what we write is a handler, and a mix-in with the hooks that a server
needs whose callers are many and strange:

- get_request() rests when no descriptor is left. Python's own forgets the error, and asks again.
- service_actions(), called at each turn, ends serve_forever(): shutdown() would have to come from
  another thread. It also waits while the server is full: there is no other hook for that.
- handle_error() writes one line, and no traceback.

The price of polling shows: it is up to a quarter of a second before the server looks up.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import mmap
import os
import select
import signal
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))

import new_enough  # this Python, or it says so
from hotline import Echo, Hotline, Service, Setting, Switchboard
from serving import GRACE, PASSING, SHORT_OF_ROOM, TICK, Patience, StopFlag
from serving import bell_for_signals, fill_standard_streams, give_up, log_line, parse_options
from serving import say_goodbye, say_where

MOST_THREADS = 500  # unless --max-clients says otherwise
MOST_CHILDREN = 200
LONGEST_DATAGRAM = 65_507  # 65,535 without the heads of IPv4 and UDP


class Stopped(BaseException):
    """Ends serve_forever(). It is no Exception: no hook on its way is to catch it."""


class Closing(StopFlag):
    """SIGTERM and SIGINT, for everybody: a pipe in which a byte lies from then on, as nobody takes
    it out. Threads see it, and children. A child leaves the signals to its parent."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.pipe, entry = os.pipe()
        super().__init__()
        self.then = lambda: self.tell(entry)

    @staticmethod
    def tell(entry: int) -> None:
        os.write(entry, b"!")

    def _set(self, number: int, frame: object) -> None:
        if os.getpid() == self.pid:
            super()._set(number, frame)

    def notice(self) -> None:
        if not self.asked:
            self.end = time.monotonic() + GRACE
            self.asked = True


class SharedCount(Switchboard):
    """One number for all threads and all processes. What somebody says reaches nobody."""

    def __init__(self) -> None:
        super().__init__()
        self._file = os.memfd_create("count")
        os.ftruncate(self._file, 8)
        self._memory = mmap.mmap(self._file, 8)
        self._lock = threading.Lock()

    def join(self, member: Hotline) -> None:
        pass

    def leave(self, member: Hotline) -> None:
        pass

    def count(self) -> int:
        with self._lock:  # The one below is for processes: threads of one process share it.
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            number = int.from_bytes(self._memory[:]) + 1
            self._memory[:] = number.to_bytes(8)
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        return number


class Desk:
    """What the handlers of a server share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.model = model(options)
        self.closing = Closing()
        self.bell = bell_for_signals()  # Threads that end ring it, and so does SIGCHLD.
        self.switchboard = SharedCount()


# The handlers.


class HotlineHandler(socketserver.BaseRequestHandler):
    """Speaks for the service. How to speak and to hear, say the two classes below."""

    server: Tuned

    def make_service(self, number: int, address: str) -> Service:
        desk = self.server.desk
        self.patience = Patience(desk.options.idle_timeout, desk.closing)
        self.is_over = False  # we have to stop, and owe nothing
        if desk.options.service == "echo":
            return Echo()
        setting = Setting(
            model=desk.model,
            pid=os.getpid(),
            thread=str(threading.get_native_id()),
            descriptor=number,
            address=address,
            date=time.ctime,
            crash=os.abort,
        )
        return Hotline(setting, desk.switchboard)

    def converse(self, service: Service) -> None:
        try:
            while not service.finished() and not self.is_over:
                if service.unsent():
                    self.speak(service)
                elif (nap := service.nap()) is not None:
                    self.sleep(service, nap)
                else:
                    self.hear(service)
                self.patience.check(time.monotonic())
        finally:
            service.close()

    def speak(self, service: Service) -> None:
        raise NotImplementedError

    def hear(self, service: Service) -> None:
        raise NotImplementedError

    def sleep(self, service: Service, nap: float) -> None:
        end = time.monotonic() + nap
        while (left := end - time.monotonic()) > 0:
            self.wait(-1, 0, min(left, TICK))
            self.patience.progress()  # It is we who are slow.
            self.patience.check(time.monotonic())
        service.woke()

    def wait(self, number: int, event: int, left: float | None) -> bool:
        """Is it ready? Wakes early when the server is about to close, and notes it."""
        closing = self.server.desk.closing
        asked = select.poll()
        if number >= 0:
            asked.register(number, event)
        if not closing.asked:
            asked.register(closing.pipe, select.POLLIN)
        ready = dict(asked.poll(None if left is None else left * 1000))
        if closing.pipe in ready:
            closing.notice()
        return number in ready


class StreamHandler(HotlineHandler, socketserver.StreamRequestHandler):
    """A conversation on a connection. It is not rfile and wfile that carry it: a deadline for a
    whole request is more than `timeout`, which is for one call."""

    server: Tuned

    def setup(self) -> None:
        super().setup()
        if self.connection.family == socket.AF_INET:  # What disable_nagle_algorithm is for.
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.connection.setblocking(False)

    def handle(self) -> None:
        address = "{}:{}".format(*self.client_address) if self.client_address else "nobody"
        self.converse(self.make_service(self.connection.fileno(), address))
        say_goodbye(self.connection, self.server.desk.closing)

    def speak(self, service: Service) -> None:
        if self.wait(self.connection.fileno(), select.POLLOUT, self.patience.left()):
            with suppress(BlockingIOError):
                service.sent(self.connection.send(service.unsent()))
                self.patience.progress()

    def hear(self, service: Service) -> None:
        if self.server.desk.closing.asked:
            self.is_over = True
            return
        ready = self.wait(self.connection.fileno(), select.POLLIN, self.patience.left())
        if not ready or self.server.desk.closing.asked:
            return
        with suppress(BlockingIOError):
            heard = self.connection.recv(min(16384, service.room()))
            if heard:
                service.receive(heard)
            else:
                service.end_of_input()
            self.patience.heard(service.requests())


class DatagramHandler(HotlineHandler, socketserver.DatagramRequestHandler):
    """A datagram is a whole conversation: its end is the end of what the caller says."""

    server: Tuned

    def handle(self) -> None:
        self.converse(self.make_service(self.server.fileno(), str(self.client_address)))

    def speak(self, service: Service) -> None:
        piece = service.unsent()
        if self.wfile.tell() + len(piece) > LONGEST_DATAGRAM:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        self.wfile.write(piece)
        service.sent(len(piece))

    def hear(self, service: Service) -> None:
        heard = self.rfile.read(service.room())
        if heard:
            service.receive(heard)
        else:
            service.end_of_input()


# The servers.


class Tuned(socketserver.TCPServer):
    """The hooks. It stands in front of a server of the family, and of its mix-in."""

    request_queue_size = socket.SOMAXCONN
    max_packet_size = 65_535
    max_children = sys.maxsize  # Else Python waits for a child's end, and sees nothing else.

    def __init__(self, address: Any, handler: type[HotlineHandler], desk: Desk) -> None:
        self.desk = desk
        self.most = sys.maxsize
        self.living = 0  # threads
        self.lock = threading.Lock()
        self.path: str | None = None
        # For UDP it would let a second server in (socket(7)).
        self.allow_reuse_address = self.socket_type == socket.SOCK_STREAM
        super().__init__(address, handler)
        self.socket.setblocking(False)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_UNIX:
            os.fchmod(self.fileno(), 0o600)
            remove_dead(str(self.server_address))
            super().server_bind()
            self.path = str(self.server_address)
        else:
            super().server_bind()

    def server_close(self) -> None:
        if self.path:
            with suppress(OSError):
                os.unlink(self.path)
            self.path = None
        super().server_close()

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except BlockingIOError:  # They are gone already.
            raise
        except OSError as error:
            if error.errno in SHORT_OF_ROOM:
                log_line(f"no room for a caller: {error.strerror}; I wait a second")
                self.rest(1)
            elif error.errno not in PASSING and self.socket_type == socket.SOCK_STREAM:
                give_up(f"accept: {error.strerror}")
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """A datagram that names us as its sender is forged: we would answer ourselves for ever."""
        return self.socket_type == socket.SOCK_STREAM or client_address != self.server_address

    def service_actions(self) -> None:
        super().service_actions()
        while self.is_full() and not self.desk.closing.asked:
            self.rest(TICK)
            super().service_actions()
        if self.desk.closing.asked:
            raise Stopped

    def is_full(self) -> bool:
        return self.living + len(getattr(self, "active_children", None) or ()) >= self.most

    def rest(self, seconds: float) -> None:
        select.select([self.desk.bell, self.desk.closing.pipe], [], [], seconds)
        self.desk.bell.hush()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a child this is the first that we hear of it: the listener is the parent's."""
        if os.getpid() != self.desk.closing.pid and self.socket_type == socket.SOCK_STREAM:
            signal.set_wakeup_fd(-1)
            self.socket.close()
        super().finish_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[misc]
        finally:
            with self.lock:
                self.living -= 1
            self.desk.bell.ring()

    def process_request(self, request: Any, client_address: Any) -> None:
        if isinstance(self, socketserver.ThreadingMixIn):
            with self.lock:
                self.living += 1
            try:
                super().process_request(request, client_address)
            except BaseException:
                with self.lock:
                    self.living -= 1
                raise
        else:
            super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log_line(f"lost a caller: {sys.exc_info()[1]}")


def remove_dead(path: str) -> None:
    """A path stays when its server dies. Nobody lives there if nobody answers."""
    with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            probe.setblocking(False)  # Its queue may be full: then it lives.
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
            except OSError:
                pass  # Somebody is there: bind() will say so.


KINDS: dict[str, type[socketserver.BaseServer]] = {
    "tcp": socketserver.TCPServer,
    "udp": socketserver.UDPServer,
    "unix": socketserver.UnixStreamServer,
    "unixgram": socketserver.UnixDatagramServer,
}
MODES: dict[str, tuple[type, ...]] = {
    "plain": (),
    "threading": (socketserver.ThreadingMixIn,),
    "forking": (socketserver.ForkingMixIn,),
}


def model(options: argparse.Namespace) -> str:
    """The name of the class: ThreadingTCPServer."""
    mix_in = "" if options.mode == "plain" else options.mode.capitalize()
    return f"{mix_in}{KINDS[options.kind].__name__}"


def server_class(options: argparse.Namespace) -> Callable[..., Tuned]:
    """Put together from two words. The order says whose process_request() is called first."""
    bases = (Tuned, *MODES[options.mode], KINDS[options.kind])
    return type(model(options), bases, {})


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default="tcp",
        help="what a request comes by (default: %(default)s)",
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="threading",
        help="who processes it: all by the same, a thread or a process for each"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--path",
        default="hotline.socket",
        help="for unix and unixgram, instead of --host and --port (default: %(default)s)",
    )


def open_server(options: argparse.Namespace, desk: Desk) -> Tuned:
    """Ends the program (status 1) where it cannot be opened."""
    is_stream = options.kind in ("tcp", "unix")
    on_network = options.kind in ("tcp", "udp")
    where = f"{options.host}:{options.port}" if on_network else options.path
    try:
        number = "127.0.0.1" if options.host == "localhost" else options.host
        socket.inet_pton(socket.AF_INET, number)  # Numbers only: a name server may take minutes.
        address = (number, options.port) if on_network else options.path
        handler = StreamHandler if is_stream else DatagramHandler
        return server_class(options)(address, handler, desk)
    except OSError as error:
        why = error.strerror or "an address is four numbers, such as 127.0.0.1"
        give_up(f"cannot listen on {where}: {why}")


def main() -> int:
    fill_standard_streams()
    options = parse_options("Lesson 06, socketserver: Python's own classes.", own_options)
    desk = Desk(options)
    # A handler that does nothing: without one the signal would not ring the bell either.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    with open_server(options, desk) as server:
        if options.mode != "plain":
            usual = MOST_THREADS if options.mode == "threading" else MOST_CHILDREN
            server.most = options.max_clients or usual
        host_and_port = options.kind in ("tcp", "udp")
        address = server.server_address
        text = "{}:{}".format(*address) if host_and_port else str(address)
        say_where(text, options.port != 0 or not host_and_port)
        with suppress(Stopped):
            server.serve_forever(TICK)
        desk.closing.notice()
    return 0


if __name__ == "__main__":
    sys.exit(main())
