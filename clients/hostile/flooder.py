#!/usr/bin/env python3
"""The flooder asks and asks, and reads no answer until nobody takes the next question.

The answers fill the kernels on both sides. A right server then stops reading from the flooder, so
the questions pile up too, and the flooder's own send() sleeps: this is backpressure. A wrong one
keeps all the answers in its memory. When the flooder reads at last, every answer comes, in order.
"""

import argparse
from pathlib import Path

from _habit import Wrong, answers, caller_for, greeted, live, next_caller, show

SIZE = 1000  # bytes of one question
ROOM = 8_000_000  # bytes that a server may keep for one caller; a right one needs far fewer


def flooder(options: argparse.Namespace) -> str:
    texts = [b"%07d" % number + b"." * (SIZE - 13) for number in range(options.bytes // SIZE + 1)]
    flood = b"".join(b"echo %b\n" % text for text in texts)
    with caller_for(options, receive_buffer=65536) as caller:
        greeted(caller)
        taken = caller.send_what_fits(flood, patience=options.timeout / 10)
        if taken > room_in_the_kernel() + ROOM:
            raise Wrong(
                f"it took {taken:,} bytes and I read no answer: it keeps them in its memory"
            )
        whole = taken // SIZE
        expect_all(caller.receive_exactly(whole * (SIZE - 5)), texts[:whole])
        if taken % SIZE:  # the question in which we got stuck
            caller.send(flood[taken : (whole + 1) * SIZE])
            answers(caller, texts[whole])
        caller.send(b"exit\n")
        caller.receive_end()
    after = next_caller(options)
    return f"I asked {taken:,} bytes of questions before I read, no answer is missing; {after}"


def expect_all(heard: bytes, texts: list[bytes]) -> None:
    for number, (line, text) in enumerate(zip(heard.split(b"\n"), texts), 1):
        if line != text:
            raise Wrong(f"answer {number} is `{show(line[:40])}`, not `{show(text[:40])}`")


def room_in_the_kernel() -> int:
    """What the kernels hold at most: sent by us, received there; sent there. We receive little."""
    received, sent = (
        int(Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split()[2]) for way in "rw"
    )
    return sent + received + sent


if __name__ == "__main__":
    live(flooder, __doc__, bytes=64_000_000)
