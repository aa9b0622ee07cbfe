"""The Python services, held against docs/protocol.md and against the C++ class.

test_hotline.py SPEAK    SPEAK is the program speak: the C++ hotline on standard input and output
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from hotline import Echo, Hotline, Service, Setting, Switchboard

PAGE = HERE.parents[2] / "docs/protocol.md"
SPEAK = ""


def setting(address: str = "127.0.0.1:40312") -> Setting:
    """As in play.hpp: nothing in it changes, so every answer is known beforehand."""
    return Setting(
        model="blocking",
        pid=42,
        thread="43",
        descriptor=4,
        address=address,
        date=lambda: "Sat Nov 21 10:08:06 2026",
        crash=lambda: None,
    )


def play(service: Service, words: bytes, most: int = 1 << 20) -> bytes:
    """Says the words in pieces of 1 to `most` bytes; all that is heard, up to the end."""
    heard = bytearray()
    while not service.finished():
        size = random.randint(1, most)
        if unsent := service.unsent():
            heard += unsent[:size]
            service.sent(len(unsent[:size]))
        elif service.nap() is not None:
            service.woke()
        elif words and (room := service.room()):
            service.receive(words[: min(size, room)])
            words = words[min(size, room) :]
        else:
            service.end_of_input()
    service.close()
    return bytes(heard)


def play_in_cpp(words: bytes) -> bytes:
    return subprocess.run([SPEAK], input=words, stdout=subprocess.PIPE, timeout=60).stdout


def examples() -> list[list[str]]:
    return [
        block.splitlines() for block in re.findall(r"```hotline\n(.*?)```", PAGE.read_text(), re.S)
    ]


def words_of(example: list[str]) -> bytes:
    said = [line[1:].removeprefix(" ") for line in example if line.startswith(">")]
    text = "".join(f"{line}\n" for line in said if line != "(half-close)")
    return text.replace("(no line end)\n", "").encode()


def answers_of(example: list[str]) -> bytes:
    heard = [line[2:] for line in example if line.startswith("<") and line != "< (end)"]
    return "".join(f"{line}\n" for line in heard).encode()


class Page(unittest.TestCase):
    def test_every_example_is_what_both_services_say(self) -> None:
        self.assertGreaterEqual(len(examples()), 7)
        for example in examples():
            with self.subTest(example=example):
                speech = [line for line in example if line.startswith("(another caller says: ")]
                if speech:  # Two callers: only the class can play that.
                    self.assertEqual(
                        self.play_with_another(example, speech[0]), answers_of(example)
                    )
                    continue
                self.assertEqual(play_in_cpp(words_of(example)), answers_of(example))
                self.assertEqual(
                    play(Hotline(setting(), Switchboard()), words_of(example)), answers_of(example)
                )

    def play_with_another(self, example: list[str], speech: str) -> bytes:
        switchboard = Switchboard()
        caller = Hotline(setting(), switchboard)
        other = Hotline(setting("127.0.0.9:999"), switchboard)
        caller.receive(words_of(example))
        heard = b""
        for member in (caller, other):
            while unsent := member.unsent():
                heard += unsent if member is caller else b""
                member.sent(len(unsent))
        other.receive(b"say " + speech[len("(another caller says: ") : -1].encode() + b"\n")
        return heard + caller.unsent()


class Twins(unittest.TestCase):
    def test_the_same_answers_to_random_words(self) -> None:
        seed = int(os.environ.get("NETSTEPS_SEED") or random.randrange(1 << 32))
        random.seed(seed)
        pieces = (
            b"0|exit|echo |echo x|upper aZ\xff|time|who|count|say hey|sleep 5|sleep x|Exit |big 30"
        )
        pieces += b"|big 70000|sink 3|sink 20000|abc\x00|big 1000000001|sink -1| |crash|sleep 60001"
        for round_ in range(60):
            words = b"".join(
                # Two in one line stand apart: "big 70000" and "0" would be a big one indeed.
                random.choice(pieces.split(b"|")) + random.choice([b"\n", b"\n", b"\r\n", b" "])
                for _ in range(random.randrange(40))
            )
            words += random.choice([b"", b"x" * random.randrange(1020, 1030) + b"\n", b"echo last"])
            with self.subTest(seed=seed, round=round_, words=words):
                here = play(Hotline(setting(), Switchboard()), words, random.choice([3, 5000]))
                self.assertEqual(here, play_in_cpp(words))

    def test_echo(self) -> None:
        everything = random.randbytes(300_000)
        self.assertEqual(play(Echo(), everything, 100_000), everything)

    def test_what_is_not_read_is_not_stored(self) -> None:
        hotline = Hotline(setting(), Switchboard())
        taken = 0
        while room := hotline.room():
            hotline.receive((b"echo hello\n" * 2000)[:room])
            taken += room
        self.assertLessEqual(taken, 16 * 1024)
        self.assertEqual(hotline.requests(), 0)


if __name__ == "__main__":
    SPEAK = sys.argv.pop(1)
    unittest.main()
