"""Checks a file whenever it is saved, and listens to single keys in between."""

import os
import select
import sys
import termios
import time
import tty
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from doctor import Stop

Keys = dict[str, tuple[str, Callable[[], object]]]


def watch_file(file: Path, try_it: Callable[[], object], keys: Keys) -> int:
    """Until q or Ctrl-C. A look five times a second costs nothing and works on every file system."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise Stop("watch wants a terminal. Without one: ./lab check", 2)
    help_line = "  ".join(f"{key} {name}" for key, (name, _) in keys.items()) + "  q quit"
    with single_keys():
        seen = 0
        while True:
            if changed(file) != seen:
                seen = changed(file)
                print(f"\033[2J\033[H{time.strftime('%H:%M:%S')}  {file.name} ...", flush=True)
                carefully(try_it)
                print(f"\n[ {help_line} ]", flush=True)
            if not select.select([sys.stdin], [], [], 0.2)[0]:
                continue
            pressed = one_key()
            if pressed in ("q", ""):
                return 0
            if pressed in keys:
                print()
                carefully(keys[pressed][1])
                print(f"\n[ {help_line} ]", flush=True)


def changed(file: Path) -> int:
    """When the file was saved last. An editor may take it away for a moment: that is no change."""
    for _ in range(10):
        try:
            return file.stat().st_mtime_ns
        except OSError:
            time.sleep(0.05)
    return 0


def one_key() -> str:
    """Past Python's buffer: it would take all that was typed, and select() sees only what is still
    in the terminal. A terminal that is gone has no more keys."""
    try:
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace")
    except OSError:
        return ""


def carefully(what: Callable[[], object]) -> None:
    """What a command has to say is no reason to stop watching."""
    try:
        what()
    except (Stop, OSError) as error:
        print(f"lab: {error}")


@contextmanager
def single_keys() -> Iterator[None]:
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
