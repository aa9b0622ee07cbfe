#!/usr/bin/env python3
"""Send datagrams to upper_udp, of lesson 06, and hear them in upper case.

A datagram may get lost, the question or the answer. So whoever asks has to ask again.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from talk import Parser, TalkError, run, show, whom_to_call

TRIES = 3


def ask(line: socket.socket, question: bytes) -> bytes:
    """Connected, the socket hears its server and nobody else; and that nobody is there, it hears too."""
    for _ in range(TRIES):
        line.send(question)
        try:
            return line.recv(65536)
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            raise TalkError("nobody is there: is this the port of a UDP server?") from None
    raise TalkError(f"no answer to {TRIES} datagrams")


def main() -> int:
    parser = Parser(__doc__, whom_to_call())
    parser.add_argument(
        "text", nargs="*", default=["hello", "", "how are you"], help="what to send"
    )
    options = parser.parse_args()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(options.timeout / TRIES)
        try:
            line.connect((options.host, options.port))
        except OSError as error:
            raise TalkError(f"cannot call {options.host}: {error.strerror or error}") from None
        for text in options.text:
            said = os.fsencode(text)  # the bytes that were typed, whatever they are
            print(f"'{show(said)}' -> '{show(ask(line, said))}'")
    return 0


if __name__ == "__main__":
    run(main)
