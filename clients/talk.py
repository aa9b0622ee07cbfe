"""What every client here shares: a caller on the line, its log, its options, its way to fail.

    with Caller("127.0.0.1", 4000, name="A") as caller:
        caller.send(b"echo hello\\n")
        print(caller.receive_line())

No operation waits longer than the caller's timeout. What goes wrong is a TalkError, and its text
says what failed, why, and what to do next.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import io
import ipaddress
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TextIO

if sys.version_info < (3, 11):
    sys.exit("this is Python %d.%d, and Netsteps needs 3.11 or newer" % sys.version_info[:2])

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

PATTERN = b"abcdefghijklmnopqrstuvw"  # 23 letters, a prime: no block of 2^k bytes repeats itself
PIECE = PATTERN * 2849  # about 64 KiB
LOGGED = 80  # bytes of a piece that the log has; its length it always has
LONGEST_LINE = 1 << 20  # no answer has more; a server that sends on without a newline is stopped


def timeout_scale() -> float:
    """By how much all that waits is to wait longer here than on a fast machine: NETSTEPS_PATIENCE."""
    try:
        scale = float(os.environ.get("NETSTEPS_PATIENCE", "1"))
    except ValueError:
        scale = 1.0
    return scale if 0 < scale < 1000 else 1.0


class TalkError(Exception):
    """The conversation failed; the text says what, why, and what to do next."""


class NotReached(TalkError):
    """There was no conversation: the call did not get through."""


class HungUp(TalkError):
    """The server ended the stream where more was expected."""


class WasReset(TalkError):
    """The server (or its kernel) threw the connection away."""


class TooSlow(TalkError):
    """The time was over before the server did what it should."""


class OutputLost(Exception):
    """Our own output cannot be written, and that is no fault of a connection. So it is no OSError,
    lest whoever looks after a connection take it for one of theirs."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Address(NamedTuple):
    """One of the addresses that a name stands for."""

    family: int
    where: tuple[str | int, ...]  # as connect() wants it

    def __str__(self) -> str:
        return address_text(str(self.where[0]), int(self.where[1]))


class Failure(NamedTuple):
    """An address that we tried, and why it did not work."""

    address: Address
    error: OSError


@functools.cache
def addresses_of(host: str, port: int) -> tuple[Address, ...]:
    """All addresses of the host, in the order in which to try them: `localhost` is often ::1 first,
    where no IPv4 server listens. Looked up once, so what was checked is what we connect to."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "this cannot be the name of a host"
        raise NotReached(f"the host {host} is unknown: {why}. Try --host 127.0.0.1.") from None
    return tuple(Address(family, where) for family, _, _, _, where in found)


class Caller:
    """One caller: a socket, a deadline on everything it does, and a log of what it did and when.

    `bind` is the address to call from, so that tools can tell callers apart: all of 127.0.0.0/8 is
    this machine. `receive_buffer` keeps the kernel from reading ahead for a caller who does not.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str = "caller",
        bind: str | None = None,
        timeout: float = 10 * timeout_scale(),
        log: TextIO | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self.host, self.port, self.name = host, port, name
        self.timeout = timeout
        self.called = 0.0  # when, on the clock that never jumps
        self.local: str | None = None
        self.peer = address_text(host, port)
        self._bind = bind
        self._log = log
        self._receive_buffer = receive_buffer
        self._socket: socket.socket | None = None
        self._kept = bytearray()  # received, but not asked for yet

    def __enter__(self) -> Caller:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, TalkError):
            self._note("failed", why=str(error))
        self.close()

    # Calling and leaving

    def connect(self) -> None:
        """Returns when the kernel at the other end has said yes; the server may know nothing yet."""
        self.called = time.monotonic()
        self._note("connecting")
        try:
            self._socket = self._reach()
        except TalkError as error:
            self._note("failed", why=str(error))
            raise
        self.local = address_text(*self.line.getsockname()[:2])
        self._note("connected")

    def half_close(self) -> None:
        """We say no more, but we go on listening: the server reads an end of stream."""
        try:
            self.line.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._failure(error, "half-close") from None
        self._note("half_closed")

    def reset(self) -> None:
        """Throws the connection away: the server's next read says `Connection reset by peer`."""
        if self._socket is not None:
            # To linger for zero seconds means: send no end of stream, send a reset.
            no_linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            self._note("reset")
            self._socket.close()
            self._socket = None

    def vanish(self) -> None:
        """End of stream first, then a reset. Whoever writes to us now gets EPIPE and SIGPIPE,
        where a reset alone would have been ECONNRESET."""
        self.half_close()
        self.reset()

    def close(self) -> None:
        if self._socket is not None:
            self._note("closed")
            self._socket.close()
            self._socket = None

    # Speaking

    def send(self, data: bytes) -> None:
        """Returns when the kernel has taken all of it, which says nothing about the server."""
        self._push(data)
        self._note("sent", data=data)

    def send_pattern(self, count: int) -> int:
        """Sends `count` bytes of the pattern and returns their Adler-32 sum."""
        checksum = 1
        for piece in pattern(count):
            self._push(piece)
            checksum = zlib.adler32(piece, checksum)
        self._note("sent", data=PATTERN[:count], count=count)
        return checksum

    def send_what_fits(self, data: bytes, patience: float) -> int:
        """Sends until the kernel takes nothing for so long; returns how many bytes it took."""
        taken, view = 0, memoryview(data)
        self.line.settimeout(patience)
        try:
            while taken < len(data):
                taken += self.line.send(view[taken:])
        except TimeoutError:
            pass
        except OSError as error:
            raise self._failure(error, "take what we send") from None
        self._note("sent", data=data[:LOGGED], count=taken)
        return taken

    # Listening

    def readable(self, seconds: float) -> bool:
        """Is there something to receive (or the end, or a reset) within so many seconds?"""
        return bool(self._kept) or bool(select.select([self.line], [], [], max(seconds, 0))[0])

    def peek(self) -> bytes:
        """The next byte, which stays where it is."""
        if not self._kept:
            self._listen(self._deadline(), "the first byte of an answer")
        return bytes(self._kept[:1])

    def receive_line(self, within: float | None = None) -> bytes:
        """The next line without its newline. The deadline is for the whole line: a server that
        sends a byte now and then does not get more time."""
        deadline, looked_at = self._deadline(within), 0
        while (end := self._kept.find(b"\n", looked_at)) < 0:
            looked_at = len(self._kept)
            if looked_at > LONGEST_LINE:
                raise TalkError(f"the server sent {looked_at} bytes without a newline")
            self._listen(deadline, "the rest of a line" if self._kept else "a line")
        line = self._take(end + 1)
        self._note("received", data=line)
        return line.removesuffix(b"\n").removesuffix(b"\r")

    def receive_exactly(self, count: int) -> bytes:
        """The next `count` bytes; each piece of them may take the timeout."""
        data = b"".join(self._pieces(count))
        self._note("received", data=data)
        return data

    def receive_checksum(self, count: int) -> int:
        """Receives `count` bytes, keeps none of them, and returns their Adler-32 sum."""
        checksum, beginning = 1, b""
        for piece in self._pieces(count):
            beginning = beginning or piece[:LOGGED]
            checksum = zlib.adler32(piece, checksum)
        self._note("received", data=beginning, count=count)
        return checksum

    def receive_end(self) -> None:
        """Returns at the end of the stream; anything else the server still sends is a failure."""
        try:
            if not self._kept:
                self._listen(self._deadline(), "the end of the stream")
        except HungUp:
            self._note("end")
            return
        raise TalkError(f"the server should have hung up, but it sent {show(self._kept[:60])}")

    def stop_reading(self, seconds: float) -> None:
        """Takes nothing from the kernel for so long, whatever the server sends."""
        self._note("stopped_reading")
        time.sleep(seconds)
        self._note("reading")

    def waits(self, why: str) -> None:
        """Puts into the log what this caller waits for."""
        self._note("waits", why=why)

    # Inside

    @property
    def line(self) -> socket.socket:
        """The connected socket."""
        if self._socket is None:
            raise TalkError(f"{self.name} is not connected")
        return self._socket

    def addresses(self) -> tuple[Address, ...]:
        """Those of the server that can be reached from the address to which we bind: from an IPv4
        address no IPv6 address can."""
        found = addresses_of(self.host, self.port)
        if self._bind is None:
            return found
        family = socket.AF_INET6 if ":" in self._bind else socket.AF_INET
        fitting = tuple(address for address in found if address.family == family)
        if not fitting:
            raise NotReached(
                f"cannot call {found[0]} from {self._bind}: one address is IPv4, the other is IPv6. "
                "Leave --bind out, or give a --host of the same kind."
            )
        return fitting

    def time_for_each(self) -> float:
        """Each address has an equal share of the timeout, so that all of them are tried in time."""
        return self.timeout / len(self.addresses())

    def _reach(self) -> socket.socket:
        failures = []
        for address in self.addresses():
            try:
                return self._connect_to(address)
            except ConnectionResetError as error:  # connected, and thrown away at once
                raise self._failure(error, "take the call") from None
            except OSError as error:
                failures.append(Failure(address, error))
        raise NotReached(self.why_not_reached(failures))

    def _connect_to(self, address: Address) -> socket.socket:
        # A kernel without IPv6 has addresses of it all the same: then socket() is what fails.
        candidate = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            candidate.settimeout(self.time_for_each())
            if self._receive_buffer is not None:
                # Before connecting: the window is agreed on in the handshake.
                candidate.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            if self._bind is not None:
                candidate.bind((self._bind, 0))
            candidate.connect(address.where)
        except BaseException:
            candidate.close()
            raise
        # Not from getpeername(): a server that resets at once leaves nothing to ask.
        self.peer = str(address)
        return candidate

    def why_not_reached(self, failures: list[Failure]) -> str:
        """What became of each address, and what to do: about the one where a server could be."""
        what = "; ".join(self._what_failed(*failure) for failure in failures)
        errors = [failure.error for failure in failures]
        refused = (error for error in errors if isinstance(error, ConnectionRefusedError))
        return f"{what}. {self._advice(next(refused, errors[-1]))}"

    def _what_failed(self, address: Address, error: OSError) -> str:
        if isinstance(error, ConnectionRefusedError):
            return f"nobody listens on {address} (connection refused)"
        if isinstance(error, TimeoutError):
            return f"{address} did not take the call within {self.time_for_each():g} s"
        source = f" from {self._bind}" if self._is_about_bind(error) else ""
        return f"cannot call {address}{source}: {error.strerror or error}"

    def _advice(self, error: OSError) -> str:
        if isinstance(error, ConnectionRefusedError):
            return (
                "Is the server running? Start it with ./lab run LESSON and give the port that it "
                "prints."
            )
        if isinstance(error, TimeoutError):
            return (
                "The accept queue of its listener may be full, or a firewall is silent. Is this the "
                "right server?"
            )
        if self._is_about_bind(error):
            return "Try --bind 127.0.0.2, or leave --bind out."
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "Allow more descriptors (ulimit -n), or use fewer clients."
        return "Look at --host and --port."

    def _is_about_bind(self, error: OSError) -> bool:
        return self._bind is not None and error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL)

    def _deadline(self, within: float | None = None) -> float:
        return time.monotonic() + (self.timeout if within is None else within)

    def _push(self, data: bytes) -> None:
        try:
            self.line.settimeout(self.timeout)
            self.line.sendall(data)
        except OSError as error:
            raise self._failure(error, "take what we send") from None

    def _listen(self, deadline: float, wanted: str) -> None:
        """Waits until at least one more byte has come."""
        try:
            self.line.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.line.recv(65536)
        except OSError as error:
            raise self._failure(error, f"send {wanted}") from None
        if not data:
            raise HungUp(f"the server hung up; we were waiting for {wanted}")
        self._kept += data

    def _failure(self, error: OSError, what: str) -> TalkError:
        if isinstance(error, TimeoutError):
            return TooSlow(f"the server did not {what} in time (--timeout is {self.timeout:g} s)")
        if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            return WasReset(
                "the server reset the connection: it died, or it closed without reading all we sent"
            )
        return TalkError(f"the server could not {what}: {error.strerror or error}")

    def _take(self, count: int) -> bytes:
        data = bytes(self._kept[:count])
        del self._kept[:count]
        return data

    def _pieces(self, count: int) -> Iterator[bytes]:
        left = count
        while left > 0:
            if not self._kept:
                self._listen(self._deadline(), f"the last {left} of {count} bytes")
            piece = self._take(left)
            left -= len(piece)
            yield piece

    def _note(
        self, do: str, *, data: bytes | None = None, count: int | None = None, why: str = ""
    ) -> None:
        if self._log is None:
            return
        event: dict[str, object] = {
            "t": time.monotonic(),  # one clock for all processes of this machine; it never jumps
            "who": self.name,
            "local": self.local,
            "peer": self.peer,
            "do": do,
        }
        if data is not None:
            event["bytes"] = len(data) if count is None else count
            event["text"] = show(data[:LOGGED])
        if why:
            event["why"] = why
        self._log.write(json.dumps(event) + "\n")
        self._log.flush()


# What bytes say


def pattern(count: int) -> Iterator[bytes]:
    """The bytes of `big` and `sink`, in pieces."""
    for start in range(0, count, len(PIECE)):
        yield PIECE[: count - start]


def checksum_of_pattern(count: int) -> int:
    checksum = 1
    for piece in pattern(count):
        checksum = zlib.adler32(piece, checksum)
    return checksum


def show(data: bytes) -> str:
    """Bytes as text that is safe on a terminal: what cannot be printed is escaped."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# The options that all clients understand


class Parser(argparse.ArgumentParser):
    """A program's docstring is its help, and who cannot print it says so."""

    def __init__(self, doc: str | None, *parents: argparse.ArgumentParser) -> None:
        super().__init__(
            description=doc,
            epilog="Exit code: 0: it went well, 1: it did not, 2: wrong usage, 130: Ctrl-C.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=parents,
        )

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        print(self.format_help(), end="", file=file)


def whom_to_call() -> argparse.ArgumentParser:
    """The options that say where the server is; a parent for an argument parser."""
    parent = argparse.ArgumentParser(add_help=False)
    line = parent.add_argument_group("whom to call")
    line.add_argument(
        "--host", type=host_name, default="127.0.0.1", help="the server's host (%(default)s)"
    )
    line.add_argument(
        "--port", type=port_number, required=True, metavar="N", help="the port that it printed"
    )
    line.add_argument(
        "--timeout",
        type=seconds,
        default=10 * timeout_scale(),
        metavar="SECONDS",
        help="the longest wait for anything (%(default)g)",
    )
    return parent


def who_calls() -> argparse.ArgumentParser:
    """The options that say who we are; a parent for an argument parser."""
    parent = argparse.ArgumentParser(add_help=False)
    caller = parent.add_argument_group("who calls")
    caller.add_argument("--name", default="caller", help="our name in the log (%(default)s)")
    caller.add_argument(
        "--bind", type=own_address, metavar="ADDRESS", help="call from 127.0.0.2, 127.0.0.3, ..."
    )
    caller.add_argument(
        "--log",
        type=argparse.FileType("a", encoding="utf-8"),
        metavar="FILE",
        help="append what happens, and when, as JSON lines",
    )
    caller.add_argument(
        "--cue",
        action="store_true",
        help="call when a line comes on standard input: so a scene directs us",
    )
    return parent


def caller_for(options: argparse.Namespace, receive_buffer: int | None = None) -> Caller:
    """The caller that the options describe, not connected yet; waits for the cue if there is one."""
    caller = Caller(
        options.host,
        options.port,
        name=options.name,
        bind=options.bind,
        timeout=options.timeout,
        log=options.log,
        receive_buffer=receive_buffer,
    )
    if options.cue:
        caller.waits("the cue")
        # Byte by byte: what comes after the newline is for whoever reads next.
        while (byte := read_input(1)) != b"\n":
            if not byte:
                raise NotReached("the scene was over before our cue")
        options.cue = False
    return caller


def whole_number(lowest: int, highest: int, what: str = "number") -> Callable[[str], int]:
    """The type of an option that takes such a number, written in the digits 0 to 9."""

    def convert(text: str) -> int:
        digits = text.lstrip("0") or text[-1:]  # int() refuses what has thousands of digits
        if text.isascii() and text.isdigit() and len(digits) <= len(str(highest)):
            if lowest <= int(digits) <= highest:
                return int(digits)
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is no {what}: it takes a number from {lowest} to {highest}"
        )

    return convert


def port_number(text: str) -> int:
    return whole_number(1, 65535, "port")(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is no time: seconds, over 0, at most a day"
        )
    return value


def own_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is no address, such as 127.0.0.2"
        ) from None


def quoted(text: str) -> str:
    """What was given, as far as one wants to read it again."""
    return repr(text if len(text) <= 40 else f"{text[:30]}...")


def host_name(text: str) -> str:
    try:
        text.encode("idna")  # as the socket module does, which ends in a traceback otherwise
    except UnicodeError:
        name = show(os.fsencode(text))
        raise argparse.ArgumentTypeError(f"{name!r} is no host: try 127.0.0.1") from None
    return text


def socket_path(text: str) -> str:
    size = len(os.fsencode(text))
    if not 1 <= size <= 107:
        raise argparse.ArgumentTypeError(
            f"the path has {size} bytes, and a socket's has 1 to 107: go to its folder (cd), and give"
            " its name"
        )
    return text


# The way out


def run(main: Callable[[], int]) -> NoReturn:
    """Runs a client's main. Exit 0: all went well, 1: the conversation failed, 2: wrong usage,
    130: Ctrl-C. Whatever happens, no traceback."""
    code, sentence = 1, ""
    try:
        keep_standard_numbers()
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")  # what is typed goes out as it is
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            code = main()
        except SystemExit as stop:  # argparse: --help is 0, wrong usage is 2
            code = stop.code if isinstance(stop.code, int) else 1
        if sys.stdout is not None:
            sys.stdout.flush()
    except TalkError as error:
        sentence = str(error)
    except KeyboardInterrupt:
        code = 130
    except OutputLost as lost:
        code, sentence = 1, why_lost(lost.error)
    except OSError as error:
        code, sentence = 1, why_lost(error)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave(code, sentence)


def keep_standard_numbers() -> None:
    """Where a shell has closed one of the descriptors 0, 1 and 2, the next socket would get its
    number, and be read from or written to by whoever means the standard stream."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def why_lost(error: OSError) -> str:
    if isinstance(error, BrokenPipeError):
        return ""  # whoever read our output has left; there is nobody to tell
    if error.filename is not None:
        return f"cannot open {error.filename}: {error.strerror}"
    return f"cannot write what we heard: {error.strerror}"


def display(text: str, end: str = "\n") -> None:
    """Shows it at once."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        raise OutputLost(error) from None


def read_input(count: int) -> bytes:
    """What has come on standard input, up to so many bytes; nothing at its end."""
    try:
        return os.read(0, count)
    except OSError as error:
        raise TalkError(f"cannot read standard input: {error.strerror}") from None


def leave(code: int, sentence: str = "") -> NoReturn:
    """Ends the process without the interpreter's last look at an output that may be gone."""
    with contextlib.suppress(OSError):
        if sys.stdout is not None:
            sys.stdout.flush()
    with contextlib.suppress(OSError):
        if sentence and sys.stderr is not None:
            print(f"{os.path.basename(sys.argv[0])}: {sentence}", file=sys.stderr, flush=True)
    os._exit(code)
