#!/usr/bin/env python3
"""Talk to unix_echo, of lesson 06, at a path: with connections, or with datagrams.

For datagrams we bind our own socket to a path, too: who has no address cannot be answered.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from talk import Parser, TalkError, run, seconds, show, socket_path


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("kind", choices=("stream", "datagram"))
    parser.add_argument("path", type=socket_path, help="the server's")
    parser.add_argument("text", nargs="*", default=["hello", "how are you"], help="what to say")
    parser.add_argument("--timeout", type=seconds, default=10.0, help="seconds (%(default)g)")
    options = parser.parse_args()
    kind = socket.SOCK_STREAM if options.kind == "stream" else socket.SOCK_DGRAM
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, kind) as line:
        line.settimeout(options.timeout)
        try:
            if options.kind == "datagram":
                line.bind(os.path.join(folder, "client"))
            line.connect(options.path)
            for text in options.text:
                said = os.fsencode(text)  # the bytes that were typed, whatever they are
                line.sendall(said)
                print(f"{show(said)} -> {show(line.recv(65536))}")
        except TimeoutError:
            raise TalkError("the server does not answer") from None
        except OSError as error:
            why = f"cannot talk to {options.path}: {error.strerror or error}"
            raise TalkError(f"{why}. Is the server running, and of this kind?") from None
    return 0


if __name__ == "__main__":
    run(main)
