"""What a program inherits: standard streams, which may be closed, and signals, which may be ignored."""

import os
import signal
import sys
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, Iterator, Optional, TextIO

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle_unless_ignored(handler: Any, *numbers: int) -> dict[int, Any]:
    """Handles these signals from now on, but for those that were ignored when we were started: nohup
    and a shell's & mean it. Gives the handlers that were there."""
    wanted = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in wanted}


def restore_sigchld() -> None:
    """Where SIGCHLD is ignored, the kernel throws away how a child has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


class Output(TextIOWrapper):
    """A standard stream for text. A letter that its reader lacks becomes a ?, or its number."""

    lost: Optional[OSError] = None  # why something could not be written

    def __init__(self, number: int, like: Optional[TextIO], errors: str) -> None:
        stream = open(number, "wb", closefd=False)
        encoding = like.encoding if like else None
        super().__init__(stream, encoding, errors, line_buffering=number == 2 or stream.isatty())

    def write(self, text: str) -> int:
        with self.remembered():
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with self.remembered():
            super().flush()

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Whoever wrote may not care (argparse does not), and main() does. But of what cannot be
        said on standard error nobody can be told."""
        try:
            yield
        except OSError as error:
            self.lost = error
            if self.fileno() != 2:
                raise


def open_streams() -> tuple[Output, Output]:
    """Gives standard output and standard error. A stream that is closed becomes /dev/null, for us and
    for our children: otherwise the next file that is opened gets its number, and what was for a
    reader is written into it."""
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:  # those below are open, so open() takes this number
            os.set_inheritable(os.open(os.devnull, mode), True)
    sys.stdin = sys.stdin or open(0, closefd=False)
    output = Output(1, sys.stdout, "replace")
    errors = Output(2, sys.stderr, "backslashreplace")
    sys.stdout, sys.stderr = output, errors
    return output, errors


def flush_or_discard(stream: Output) -> None:
    """Writes what waits in a stream. What nobody can have is thrown away, or Python would complain of
    it once more at the end."""
    with suppress(OSError):
        stream.flush()
    if stream.lost:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
