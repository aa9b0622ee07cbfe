"""Programs: built, tested, started, watched, and always ended."""

import fcntl
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator, Optional

from doctor import (
    ROOT,
    Missing,
    Stop,
    install,
    missing,
    output,
    sanitizing_compiler,
    tool,
    tree,
)
from inherited import STOPPING, handle_unless_ignored
from lessons import Server

NOTES = ROOT / ".lab"  # what lab remembers: which servers run, and who is building
FOLDERS = {"plain": "build", "asan": "build-asan", "tsan": "build-tsan", "release": "build-release"}
MEASURED = "bench"  # the build whose servers are measured: as fast as the compiler can make them
GOOD = {"OK", "EXPECTEDFAIL", "SKIP"}  # the verdicts of Meson that are no failure
MESONS_COUNT = re.compile(
    r"(Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): +\d+ *$|Full log written to "
)
SANITIZERS = {"asan": "address,undefined", "tsan": "thread"}


@contextmanager
def child(command: list[str], **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A program in a session of its own: Ctrl-C reaches us alone, and we end it in good order."""
    process: Optional["subprocess.Popen[str]"] = None
    meanwhile: list[int] = []
    handlers = postpone(meanwhile)
    try:
        process = subprocess.Popen(
            command, start_new_session=True, encoding="utf-8", errors="replace", **options
        )
        put_back(handlers)
        for number in meanwhile:
            signal.raise_signal(number)
        yield process
    finally:
        put_back(handlers)
        if process and process.poll() is None:  # once it is reaped, its number may be another's
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process and process.stdout:
            process.stdout.close()


def postpone(heard: list[int]) -> dict[int, Any]:
    """From now on signals are only noted; gives the handlers that were there. A Ctrl-C in the moment
    when a child has been born and nobody knows its number yet would leave an orphan."""
    if threading.current_thread() is not threading.main_thread():
        return {}  # signals come to the main thread alone
    return handle_unless_ignored(lambda number, _: heard.append(number), *STOPPING)


def put_back(handlers: dict[int, Any]) -> None:
    while handlers:
        signal.signal(*handlers.popitem())


def quietly(title: str, command: list[str]) -> tuple[bool, str]:
    """Runs a command to its end, and gives its success and all that it said."""
    said = []
    at_terminal = sys.stdout.isatty()
    print(f"{title} ...", end="" if at_terminal else "\n", flush=True)
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if at_terminal and line.startswith("["):
                print(f"\r{title} {line.split(']')[0]}]", end="", flush=True)
        succeeded = process.wait() == 0
    print(end="\r\033[K" if at_terminal else "", flush=True)
    return succeeded, "".join(said)


def turn_at(folder: Path) -> Path:
    """The file whose lock (flock) says who builds in this folder: one at a time. The kernel gives
    the lock back when its holder ends, however that happens."""
    NOTES.mkdir(exist_ok=True)
    return NOTES / f"building-{folder.name}"


def folder_of(kind: str) -> Path:
    return ROOT / FOLDERS.get(kind, f"build-{kind}")


def set_up(kind: str) -> Path:
    """A build folder that Meson has made, here and for this tree."""
    folder = folder_of(kind)
    if made_here(folder):
        return folder
    try:
        tree()
    except Missing as problem:
        raise Stop(str(problem), 3) from None
    setup = [tool("meson"), "setup", str(folder), str(ROOT)]
    if kind in SANITIZERS:
        setup += [f"-Db_sanitize={SANITIZERS[kind]}", "-Db_lundef=false"]
        setup += ["-Dcpp_args=-g1"]  # reports name lines; compiles in four fifths of the time
        setup = ["env", f"CXX={shlex.join(sanitizing_compiler())}", *setup]
    if kind == "release":
        setup += ["--buildtype=release"]
    if kind == MEASURED:
        setup += ["--buildtype=release", "-Db_ndebug=true"]
        # A fork copies the tables of each library: with none, a caller of 04 costs a third less.
        setup += ["-Dcpp_link_args=-static"]
    setup += ["--wipe"] if (folder / "meson-private/coredata.dat").exists() else []
    succeeded, said = quietly(f"Setting up {folder.name}/", setup)
    if not succeeded:
        raise Stop(f"Meson could not set up {folder.name}/:\n{first_error(said)}", 3)
    return folder


def build(kind: str, yes: bool, *targets: str) -> Path:
    """Brings a build folder up to date, quietly unless that fails."""
    install(missing(), yes)
    with turn_at(folder_of(kind)).open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        folder = set_up(kind)
        command = [tool("ninja"), "-C", str(folder), *targets]
        succeeded, said = quietly(f"Building {folder.name}/", command)
    if not succeeded:
        raise Stop(
            f"{folder.name}/ did not build. The first error:\n{first_error(said)}\n"
            "Whether this machine has what it takes, and not too old, says  ./lab doctor\n"
            f"If the folder itself is broken, delete it and try again:  rm -r {folder.name}",
            3,
        )
    return folder


@contextmanager
def built_meanwhile(*kinds: str) -> Iterator[None]:
    """Builds these while you do something that mostly waits, with the lowest priority; waits for it
    in the end. Whether they could be built says build(). (A kernel that shares the processor among
    sessions wants to hear the priority of the session: sched(7), autogroup.)"""
    folders = [set_up(kind) for kind in kinds]
    words = [str(word) for folder in folders for word in (turn_at(folder), folder)]
    script = "echo 19 >/proc/self/autogroup\n"
    script += 'while [ $# -gt 0 ]; do flock "$1" "$0" -C "$2"; shift 2; done'
    command = ["nice", "-n", "19", "sh", "-c", script, tool("ninja"), *words]
    with child(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as builds:
        yield
        builds.wait()


def made_here(folder: Path) -> bool:
    """Whether Meson made this build folder, and for this tree: a tree that was moved needs anew."""
    try:
        made = json.loads((folder / "meson-info/meson-info.json").read_text(encoding="utf-8"))
        return (folder / "build.ninja").exists() and made["directories"]["source"] == str(ROOT)
    except (OSError, ValueError, KeyError):
        return False


def first_error(said: str) -> str:
    """The first failure in what Meson or Ninja said, whole, without the compiler's command line."""
    refused = re.search(r"^.*meson\.build:\d+:\d+: ERROR: .*", said, re.MULTILINE)
    if refused:
        return refused[0].replace("../", "", 1)
    failed = re.search(r"^FAILED: (.*\n)(?:.*\n)((?:(?!\[\d+/|ninja: ).*\n)*)", said, re.MULTILINE)
    if failed:
        return f"{failed[1].rstrip()}\n{failed[2]}".rstrip()
    return "\n".join(said.rstrip().splitlines()[-20:])


def ready(yes: bool, *servers: Server, kind: str = "plain") -> list[list[str]]:
    """The commands that start these servers, built."""
    compiled = [server for server in servers if server.source.suffix != ".py"]
    programs = {server: f"lessons/{server.lesson}/{server.name}" for server in compiled}
    folder = build(kind, yes, *programs.values()) if programs else ROOT
    return [
        [str(folder / programs[server])]
        if server in programs
        else [sys.executable, str(server.source)]
        for server in servers
    ]


LISTENING = re.compile(r"listening on \[?(.*?)\]?:(\d+)$")


def first_line(server: "subprocess.Popen[str]") -> tuple[str, str]:
    """Waits until a server listens; gives the host and the port that it names."""
    assert server.stdout
    if not select.select([server.stdout], [], [], 10)[0]:
        raise Stop("the server did not say within 10 seconds that it listens")
    line = server.stdout.readline()
    found = LISTENING.match(line)
    if not found:
        raise Stop(f"the server said '{line.strip()}' and not 'listening on HOST:PORT'")
    return found[1], found[2]


TABLES = ["/proc/net/tcp", "/proc/net/tcp6"]  # a kernel without IPv6 has the first one alone


def listeners(port: int) -> Iterator[str]:
    """The sockets that listen on this port, by the numbers of their inodes. To call and see would be
    one more client."""
    if not any(map(os.path.exists, TABLES)):
        raise Stop("who listens stands in /proc/net, which is not there: mount -t proc proc /proc")
    for table in TABLES:
        with suppress(OSError), open(table) as sockets:
            for row in map(str.split, sockets):
                if row[1].endswith(f":{port:04X}") and row[3] == "0A":
                    yield row[9]


def known_tests(folder: Path) -> tuple[set[str], dict[str, list[str]]]:
    """All suites, and for every name that a person may type, what selects it in `meson test`."""
    suites, names = set(), {}
    for known in json.loads((folder / "meson-info/intro-tests.json").read_text(encoding="utf-8")):
        for suite in (full.split(":")[-1] for full in known["suite"]):
            suites.add(suite)
            names[suite] = ["--suite", suite]
            if re.match(r"\d\d-", suite):  # a lesson goes by its number
                names[suite[:2]] = names[suite]
            names[f"{suite}/{known['name']}"] = ["--suite", suite, known["name"]]
            names.setdefault(known["name"], names[f"{suite}/{known['name']}"])
    return suites, names


def needed(folder: Path, selections: list[list[str]]) -> list[str]:
    """What Ninja must build for these tests. (Its `all` has every exercise's programs, which older
    versions of Meson put there: a fifth of the time.)"""
    told = (
        output(tool("meson"), "test", "-C", str(folder), "--no-rebuild", "--list", *selection)
        for selection in selections
    )
    wanted = {line.partition(" / ")[2] for _, said in told for line in said.splitlines()}
    tests = json.loads((folder / "meson-info/intro-tests.json").read_text())
    depends = {name for test in tests if test["name"] in wanted for name in test["depends"]}
    targets = json.loads((folder / "meson-info/intro-targets.json").read_text())
    files = (file for target in targets if target["id"] in depends for file in target["filename"])
    return [os.path.relpath(file, folder) for file in files]


def meson_test(folder: Path, selection: list[str]) -> "Counter[str]":
    """Runs `meson test`, and counts the verdicts in the log that it writes. Meson's own count is
    left out: it knows of one build, and ours comes at the very end. Most tests wait half of the
    time: two for each core go on at once. Meson's timeouts are for what hangs, so they are long."""
    log = folder / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    command = [tool("meson"), "test", "-C", str(folder), "--no-rebuild", "--print-errorlogs"]
    command += ["--num-processes", str(2 * (os.cpu_count() or 1)), "--timeout-multiplier", "3"]
    # Tests send signals to what they start, so these are not to be ignored, as under nohup.
    command = ["env", "--default-signal", *command, *selection]
    with child(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as tests:
        assert tests.stdout
        gap = ""
        for line in tests.stdout:
            if not line.strip() or MESONS_COUNT.match(line):
                gap = "\n"
            else:
                print(gap + line, end="", flush=True)
                gap = ""
        code = tests.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    verdicts = Counter(json.loads(line)["result"] for line in lines)
    if code and verdicts.keys() <= GOOD:
        raise Stop(f"meson test ended with exit code {code}, and no test failed")
    return verdicts


# Notes about servers that run, so that a client finds them.


def running(number: str) -> Optional[dict[str, str]]:
    """The newest server of this lesson that still runs; forgets those that do not."""
    notes = NOTES.glob(f"running/{number}.*.json")
    for note in sorted(notes, key=saved, reverse=True):
        try:
            server: dict[str, str] = json.loads(note.read_text(encoding="utf-8"))
            if runs(int(server["pid"]), server["program"]):
                return server
        except (OSError, ValueError, KeyError, TypeError):
            pass  # the process is gone, or the note is torn
        with suppress(OSError):
            note.unlink()
    return None


def saved(note: Path) -> float:
    """When; a note may be taken away while we look."""
    with suppress(OSError):
        return note.stat().st_mtime
    return 0.0


def runs(pid: int, program: str) -> bool:
    """Whether this process is this program: its number may be another's by now."""
    if not os.path.exists("/proc/self/cmdline"):
        os.kill(pid, 0)  # raises, if there is no such process; more cannot be known here
        return True
    return os.fsencode(program) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


@contextmanager
def noted(server: Server, command: list[str], pid: int, host: str, port: str) -> Iterator[None]:
    note = NOTES / "running" / f"{server.lesson.split('-')[0]}.{pid}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    facts = {"program": command[-1], "pid": str(pid), "host": host, "port": port}
    note.write_text(json.dumps(facts), encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)
