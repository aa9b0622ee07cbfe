#!/usr/bin/env python3
"""A web server with good pages and bad ones, for the tests of step 14: the path says how it answers.
It serves each caller in a thread, until you press Ctrl-C or kill it."""

from __future__ import annotations

import argparse
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

PATIENCE = 20.0  # seconds: nothing here lasts longer
TEXT = b"hello from the web\n" * 10  # 190 bytes
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def counted() -> Iterator[bytes]:
    yield OK + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT


def chunked() -> Iterator[bytes]:
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
    for start in range(0, len(TEXT), 7):
        piece = TEXT[start : start + 7]
        yield b"%x;piece=%d\r\n" % (len(piece), start) + piece + b"\r\n"
    yield b"0\r\nTrailer: yes\r\n\r\n"


def until_close() -> Iterator[bytes]:
    yield OK + b"\r\n" + TEXT


def folded() -> Iterator[bytes]:
    """Headers over several lines, as programs wrote them before 2014."""
    yield OK + b"X-Folded: one\r\n two\r\nContent-Length:\r\n\t%d\r\n\r\n" % len(TEXT) + TEXT


def go_on() -> Iterator[bytes]:
    yield b"HTTP/1.1 100 Continue\r\n\r\n"
    yield from counted()


def no_page() -> Iterator[bytes]:
    yield b"HTTP/1.1 204 No Content\r\n\r\n"


def not_found() -> Iterator[bytes]:
    yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry"


def stays_open() -> Iterator[bytes]:
    """The page is whole; that the connection lives on must not matter."""
    yield from counted()
    time.sleep(PATIENCE)


def silent() -> Iterator[bytes]:
    time.sleep(PATIENCE)
    yield b""


def stall() -> Iterator[bytes]:
    yield OK + b"Content-Length: 1000\r\n\r\n" + TEXT
    time.sleep(PATIENCE)


def drip() -> Iterator[bytes]:
    """Never silent for long, never done."""
    yield OK + b"Content-Length: 1000\r\n\r\n"
    while True:
        time.sleep(0.05)
        yield b"x"


def early() -> Iterator[bytes]:
    yield OK + b"Content-Length: 1000\r\n\r\n" + TEXT


def early_chunk() -> Iterator[bytes]:
    yield OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + TEXT


def garbage() -> Iterator[bytes]:
    yield b"\x00\xff\x1b[2Jwhat is HTTP?\r\n\r\n"


def bad_header() -> Iterator[bytes]:
    yield OK + b"no colon at all\r\n\r\n" + TEXT


def two_lengths() -> Iterator[bytes]:
    yield OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + TEXT


def bad_chunk() -> Iterator[bytes]:
    yield OK + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n" + TEXT


def endless() -> Iterator[bytes]:
    yield OK + b"\r\n"
    while True:
        yield TEXT * 100


def endless_chunks() -> Iterator[bytes]:
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"be\r\n" + TEXT + b"\r\n"


def endless_head() -> Iterator[bytes]:
    yield OK
    while True:
        yield b"X-Again: and again\r\n"


def endless_line() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 200 OK, and so on, and so on "


def large() -> Iterator[bytes]:
    yield OK + b"Content-Length: 99999999999\r\n\r\n"


def reset() -> Iterator[bytes]:
    """The first bytes, and then not even an end: `serve` sees the exception."""
    yield OK + b"Content-Length: 1000\r\n\r\n" + TEXT
    raise ConnectionResetError


PAGES: dict[str, Callable[[], Iterator[bytes]]] = {
    "/" + page.__name__.replace("_", "-"): page
    for page in (
        counted,
        chunked,
        until_close,
        folded,
        go_on,
        no_page,
        not_found,
        stays_open,
        silent,
        stall,
        drip,
        early,
        early_chunk,
        garbage,
        bad_header,
        two_lengths,
        bad_chunk,
        endless,
        endless_chunks,
        endless_head,
        endless_line,
        large,
        reset,
    )
}


def serve(caller: socket.socket) -> None:
    with caller, contextlib.suppress(OSError):
        caller.settimeout(PATIENCE)
        request = b""
        while b"\r\n\r\n" not in request:
            if not (piece := caller.recv(4096)):
                return
            request += piece
        path = request.split(b" ")[1].decode()
        try:
            for piece in PAGES[path]():
                caller.sendall(piece)
        except ConnectionResetError:
            # With a lingering time of 0, close() is a reset.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            caller, _ = listener.accept()
            threading.Thread(target=serve, args=(caller,), daemon=True).start()


if __name__ == "__main__":
    main()
