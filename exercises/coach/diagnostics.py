"""What a compiler says, and whose fault it is: the learner's program, or the machine's."""

import re

from doctor import ROOT

# Reasons that lie outside of any program, each with what to do about it. They stand in lines of the
# tools (`/usr/bin/ld: final link failed: No space left on device`), never in a quoted line of code.
MACHINES_FAULTS = {
    r"No space left on device|Disk quota exceeded|File too large|File size limit exceeded": (
        "A disk is full, here or where the compiler has its temporary files. "
        "Make room (df -h . /tmp), then check again."
    ),
    r"Cannot allocate memory|failed to map segment|out of memory|memory exhausted|Killed|signal 9|terminated by signal": (
        "The compiler was ended from outside, as the kernel does when memory runs out. "
        "Close other programs, then check again."
    ),
    r"Read-only file system|Permission denied|Cannot create temporary file"
    r"|(?:cannot|unable to) open output file|error writing to": (
        "The compiler could not write. Make the folder writable, or let TMPDIR name another one "
        "for temporary files, then check again."
    ),
    r"Input/output error|Too many open files|Resource temporarily unavailable|cannot execute"
    r"|unable to execute|installation problem|No such file or directory$": (
        "The compiler's own parts do not work on this machine: ./lab doctor"
    ),
    r"internal compiler error|LLVM ERROR|error in backend|Segmentation fault|signal \d+": (
        "The compiler itself failed, which no program should make it do. Check again; if it fails "
        "again, what you changed last is what it stumbles over: write that in another way."
    ),
}

# A line about a place in a program: `server.cpp:12:5: error: ...`. Even there a tool may speak of
# itself, since it names the place where it was when it failed.
PLACED = re.compile(r"^\S[^:]*:\d+(?::\d+)?: ")
OF_ITSELF = re.compile(r"internal compiler error: |fatal error: error (?:writing to|in backend)")
PROGRAMS_FAULT = re.compile(
    r"undefined|multiple definition|In function|in function|file included from", re.IGNORECASE
)


def machines_fault(said: str) -> tuple[str, str]:
    """The line that names the cause, and what to do; two empty texts if the program is to blame."""
    for line in said.replace(f"{ROOT}/", "").splitlines():
        if not line or line[0].isspace() or PROGRAMS_FAULT.search(line):
            continue
        if PLACED.match(line) and not OF_ITSELF.search(line):
            continue
        for reason, advice in MACHINES_FAULTS.items():
            if re.search(reason, line):
                return line, advice
    return "", ""


def first_error(said: str) -> str:
    """The first error with what belongs to it; paths as a person in the tree would type them."""
    lines = said.replace(f"{ROOT}/", "").splitlines()
    starts = [number for number, line in enumerate(lines) if is_error(line)]
    if not starts:
        return "\n".join(lines[-10:])
    return "\n".join(lines[starts[0] : starts[0] + 6])


def is_error(line: str) -> bool:
    """The linker gives its reasons before the line that has the word."""
    words = r"error:|undefined|multiple definition|\bld(?:\.\w+)?: "
    return bool(re.search(words, line)) and "warning:" not in line
