"""A small hotline, one caller after another, that does one thing wrong. Its first argument says what.

    right                  nothing
    dies_on_aborted        a caller who is gone before accept() ends it
    spins_on_emfile        out of descriptors, it tries again at once
    closes_twice           close() says EINTR, and it closes the number again
    ignores_short_writes   it takes for granted that send() took all
    forgets_callers        when memory is short for a caller, it does not close
    lives_on_bad_listener  a listener that is no socket any more does not end it
    leaves_a_child         it ends, its child does not
    exits_in_silence       where it cannot bind, it ends without a word
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time

import callers

WRONG = sys.argv[1]
GONE = (errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.EINTR, errno.EAGAIN)
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def stop(*_: object) -> None:
    os._exit(0)


def send(caller: int, text: bytes) -> None:
    while text:
        sent = os.write(caller, text)
        if WRONG == "ignores_short_writes":
            return
        text = text[sent:]


def answer(line: bytes) -> bytes:
    verb, _, text = line.partition(b" ")
    if verb == b"0":
        return b"0000\n"
    if verb == b"echo":
        return text + b"\n"
    if verb == b"sleep":
        time.sleep(int(text) / 1000)
        return b"ok\n"
    if verb == b"big":
        return callers.big_answer(int(text))
    return b"Do it again\n"


def talk(caller: int) -> None:
    send(caller, b"Welcome to 10086, wrong, pid %d, thread 0\n" % os.getpid())
    unread = b""
    while piece := os.read(caller, 4096):
        *lines, unread = (unread + piece).split(b"\n")
        for line in lines:
            if line == b"exit":
                return
            send(caller, answer(line))
    if unread:
        send(caller, answer(unread))


def hang_up(caller: int) -> None:
    with contextlib.suppress(OSError):
        line = socket.socket(fileno=caller)
        try:
            line.shutdown(socket.SHUT_WR)
        finally:
            line.detach()
    close(caller)


def close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        if WRONG == "closes_twice":
            close(number)


def pick_up(listener: socket.socket) -> int:
    """The next caller's descriptor; -1 for none."""
    select.select([listener], [], [])
    try:
        return listener.accept()[0].detach()
    except OSError as error:
        if WRONG == "dies_on_aborted" and error.errno == errno.ECONNABORTED:
            raise
        if error.errno in FULL:
            time.sleep(0 if WRONG == "spins_on_emfile" else 0.2)
        elif error.errno not in GONE and WRONG != "lives_on_bad_listener":
            sys.exit(str(error))
    return -1


def serve(listener: socket.socket) -> None:
    while True:
        caller = pick_up(listener)
        if caller == -1:
            continue
        try:
            talk(caller)
        except OSError as error:
            if WRONG == "forgets_callers" and error.errno == errno.ENOMEM:
                continue
        hang_up(caller)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", 0))
    except OSError as error:
        sys.exit(1 if WRONG == "exits_in_silence" else f"cannot bind: {error.strerror}")
    listener.listen()
    listener.setblocking(False)
    if WRONG == "leaves_a_child":
        subprocess.Popen(["sleep", "60"])
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    serve(listener)


if __name__ == "__main__":
    main()
