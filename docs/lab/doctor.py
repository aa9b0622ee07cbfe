"""What this machine has and lacks: finds it, installs it, tries it. Stands behind `lab doctor`."""

import os
import re
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Callable, NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[2]

# The oldest with which Netsteps is tried. The C library has to bring <sys/pidfd.h>.
COMPILERS = {"g++": 11, "clang": 14}
GLIBC = (2, 36)
MESON = (1, 0)


class Stop(Exception):
    """Something the person at the keyboard must know: one sentence, and the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def tool(name: str) -> str:
    """Where a program is, or nothing. Debian's own comes first: pyenv and others put things of the
    same name before it that may not work."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    folders.sort(key=lambda folder: folder != "/usr/bin")
    return shutil.which(name, path=os.pathsep.join(folders)) or ""


def words_of(variable: str) -> list[str]:
    """What an environment variable says, split as Meson does it: CXX="ccache g++" is two words."""
    said = os.environ.get(variable, "")
    try:
        return shlex.split(said)
    except ValueError as error:
        raise Stop(f"{variable} is '{said}': {error}. Correct it, or: unset {variable}") from None


def compiler() -> list[str]:
    """The command that compiles C++, without a file; empty where there is none."""
    wanted = words_of("CXX")
    if wanted and not shutil.which(wanted[0]):
        raise Stop(f"CXX names {wanted[0]}, which is no program here. Correct it, or: unset CXX")
    return wanted or [path for path in map(tool, ("c++", "g++", "clang++")) if path][:1]


def sanitizing_compiler() -> list[str]:
    """clang, where it is there: it builds with sanitizers in half of g++'s time, and whoever builds
    both ways has heard two compilers. Debian has what sanitizers need at run time in a package that
    clang only recommends."""
    clang = tool("clang++")
    runtime = Path(output(clang, "-print-runtime-dir")[1]) if clang else Path()
    has_runtime = clang and any(runtime.glob("libclang_rt.asan*"))
    return [clang] if has_runtime and not words_of("CXX") else compiler()


def output(*command: str) -> tuple[bool, str]:
    """Whether a command succeeds within a minute, and all that it says."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, done.stdout.strip()


def line(said: str, number: int = 0) -> str:
    """A line of what a program said, which may be nothing."""
    return (said.splitlines() or ["it says nothing"])[number]


def has_doctest() -> bool:
    """Asks the compiler, which knows where headers are; without one, looks where Debian puts it."""
    if not compiler():
        return Path("/usr/include/doctest/doctest.h").exists()
    include = ["-x", "c++", "-M", "-include", "doctest/doctest.h", os.devnull]
    return output(*compiler(), *include)[0]


def missing() -> list[str]:
    """The Debian packages without which nothing can be built here."""
    needs = {
        "g++": bool(compiler()),
        "meson": bool(tool("meson")),
        "ninja-build": bool(tool("ninja")),
        "doctest-dev": has_doctest(),
    }
    return [package for package, found in needs.items() if not found]


# Installing: asks a person, does not ask a machine, and never guesses.


def install(packages: list[str], yes: bool) -> None:
    """Installs Debian packages, or says how; returns only when what they bring is there."""
    if not packages:
        return
    names = " ".join(packages)
    if not tool("apt-get"):
        raise Stop(f"missing, by their Debian names: {names}. Install them in your system's way.")
    is_root = os.geteuid() == 0
    by_hand = f"apt-get update && apt-get install -y {names}"
    if not is_root and not tool("sudo"):
        raise Stop(f"missing: {names}. Become root and type:\n  {by_hand}")
    by_hand = by_hand if is_root else by_hand.replace("apt-get", "sudo apt-get")
    print(f"Missing on this machine: {names}", flush=True)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not (yes or agreed(at_terminal)):
        raise Stop(f"nothing was installed. Say --yes, or type:\n  {by_hand}")
    print("Installing, a minute or two ...", flush=True)
    become_root = [] if is_root else ["sudo"] if at_terminal else ["sudo", "--non-interactive"]
    said = apt_get(become_root, packages)
    if said:
        raise Stop(
            f"apt-get could not install {names}:\n{said}\nTo try by hand, type:\n  {by_hand}"
        )
    if missing():
        raise Stop(f"apt-get has installed {names}, and PATH does not find {' '.join(missing())}")


def agreed(at_terminal: bool) -> bool:
    """A person is asked. A machine that runs tests has said yes, any other has not."""
    if at_terminal:
        return input("Install with apt-get now? [Y/n] ").strip().lower() in ("", "y", "yes")
    return os.environ.get("CI") == "true"


def apt_get(become_root: list[str], packages: list[str]) -> str:
    """Empty when all went well, or else what apt-get said. Where the lists of packages are old, or
    not there at all, they are fetched and the installation is tried again."""
    apt = [*become_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    install_now = [*apt, "-o", "DPkg::Lock::Timeout=120", "install", "-y", *packages]
    if output("apt-cache", "show", *packages)[0] and not complaint(install_now):
        return ""
    return complaint([*apt, "update"]) or complaint(install_now)


def complaint(command: list[str]) -> str:
    """Empty when the command succeeds, or else the end of what it said."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            said = process.communicate()[0].strip()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reaches it too, and it must not be left with half a package
            raise
    if process.returncode == 0:
        return ""
    return "\n".join(said.splitlines()[-15:]) or f"exit code {process.returncode}"


# Examining: each check gives what it saw, or raises Missing with what to do.


class Missing(Exception):
    """What is wrong, and what to do about it."""


class Check(NamedTuple):
    title: str
    look: Callable[[], str]
    needed: bool = True  # or else the rest of Netsteps works without it


def examine() -> int:
    """Prints a line for each thing that Netsteps uses; 0 when nothing that it needs is missing."""
    healthy = True
    for check in CHECKS:
        try:
            print(f"ok       {check.title:<22} {check.look()}", flush=True)
        except (Missing, Stop) as problem:
            healthy &= not check.needed
            word = "missing" if check.needed else "without"
            print(f"{word}  {check.title:<22} {problem}", flush=True)
    return 0 if healthy else 1


def has(name: str, package: str, why: str = "") -> Callable[[], str]:
    """The check that a program is there and answers."""

    def look() -> str:
        command = compiler() if name == "c++" else [tool(name)]
        if not all(command) or not command:
            raise Missing(f"{why}apt-get install {package}")
        succeeded, said = output(*command, "-V" if name in ("strace", "socat") else "--version")
        if not succeeded:
            raise Missing(f"{command[0]} does not work: {line(said, -1)}")
        return line(said)

    return look


def cpp() -> str:
    said, known = has("c++", "g++")(), macros()
    name, macro = ("clang", "__clang_major__") if "__clang__" in known else ("g++", "__GNUC__")
    oldest = COMPILERS[name]
    if int(known.get(macro, 0)) < oldest:
        raise Missing(
            f"{said}: {name} {oldest} or newer is needed. apt-get install g++, or, if a newer one is "
            f"here: export CXX={name.replace('clang', 'clang++')}-{oldest}"
        )
    return said


@cache
def macros() -> dict[str, str]:
    """What the compiler and its libraries say of themselves."""
    if not compiler():
        raise Missing("apt-get install g++")
    ask = ["-x", "c++", "-include", "cstddef", "-E", "-dM", os.devnull]
    succeeded, said = output(*compiler(), *words_of("CXXFLAGS"), *ask)
    if not succeeded:
        raise Missing(f"{compiler()[0]} finds no C++ library: {line(said, -1)}")
    return dict(re.findall(r"#define (\w+) (.*)", said))


def library() -> str:
    if "_GLIBCXX_RELEASE" not in macros():
        flags = os.environ.get("CXXFLAGS", "")
        raise Missing(f"libstdc++ is needed, and CXX and CXXFLAGS ({flags}) choose another one")
    return f"libstdc++ {macros()['_GLIBCXX_RELEASE']}"


def libc() -> str:
    known = macros()
    if "__GLIBC__" not in known:
        raise Missing("glibc is needed, and this is another C library: use a Debian 12, or newer")
    version = int(known["__GLIBC__"]), int(known["__GLIBC_MINOR__"])
    if version < GLIBC:
        raise Missing(
            "glibc {}.{} or newer is needed, and this is {}.{}: use a Debian 12, or newer".format(
                *GLIBC, *version
            )
        )
    return "glibc {}.{}".format(*version)


def meson() -> str:
    said = has("meson", "meson")()
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    if version < MESON:
        raise Missing(
            f"{said}; 1.0 or newer is needed: apt-get install meson, on Debian 12 or newer, or: "
            "pip install --user meson"
        )
    return said


def python() -> str:
    """lab itself has looked at the version: an older one cannot read this file."""
    return f"{sys.version.split()[0]} ({sys.executable})"


def proc() -> str:
    if not Path("/proc/self/stat").exists():
        raise Missing("/proc is not there; as root: mount -t proc proc /proc")
    return "/proc is there"


def doctest() -> str:
    if not has_doctest():
        raise Missing("apt-get install doctest-dev")
    return "doctest/doctest.h is there"


def sanitizer(names: str) -> Callable[[], str]:
    """The check that a program built with these sanitizers runs: some kernels do not let it."""

    def look() -> str:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "tiny"
            source = program.with_suffix(".cpp")
            source.write_text("int main() {}\n", encoding="utf-8")
            flags = [f"-fsanitize={names}", str(source), "-o", str(program)]
            built, said = output(*(compiler() or ["c++"]), *flags)
            if not built:
                raise Missing(f"does not build: {line(said, -1)}")
            ran, said = output(str(program))
            if not ran:
                hint = "; with newer kernels, sysctl vm.mmap_rnd_bits=28 helps"
                raise Missing(f"does not run: {line(said)}{hint}")
        return "builds and runs"

    return look


def ptrace() -> str:
    if not tool("strace"):
        raise Missing("the faults suite is skipped: apt-get install strace")
    succeeded, said = output(tool("strace"), "-f", "-o", os.devnull, "true")
    if not succeeded:
        raise Missing(f"the faults suite is skipped: {line(said, -1)}")
    return "strace can trace a child"


def descriptors() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        raise Missing(f"at most {hard}; the 2,000 callers need 4096: ulimit -Hn as root")
    return f"{soft} now, {hard} at most"


def tree() -> str:
    """Meson and Ninja keep the path in files of theirs, which are UTF-8 and have lines."""
    try:
        str(ROOT).encode()
        if "\n" not in str(ROOT):
            return str(ROOT)
    except UnicodeEncodeError:
        pass
    raise Missing(
        f"nothing can be built in {ROOT}: Meson takes only a path that is UTF-8 and has no line "
        "break in it. Rename the folder, or move the tree"
    )


def disk() -> str:
    free = shutil.disk_usage(ROOT).free / 2**30
    if free < 1:
        raise Missing(f"{free:.1f} GiB free; three builds take about 1 GiB: make room")
    return f"{free:.0f} GiB free"


def loopback() -> str:
    try:
        with socket.socket() as caller:
            caller.bind(("127.0.0.2", 0))
    except OSError as error:
        raise Missing(
            f"127.0.0.2: {error.strerror}; as root: ip addr add 127.0.0.2/8 dev lo"
        ) from None
    return "127.0.0.2 can be used, so every caller has an address of its own"


def leftovers() -> str:
    """Servers of this tree whose starter is gone. `lab run` and the tests leave none."""
    orphans = [process.name for process in Path("/proc").glob("[0-9]*") if orphaned(process)]
    if orphans:
        raise Missing(f"still running, started by nobody: kill {' '.join(orphans)}")
    return "none"


def orphaned(process: Path) -> bool:
    try:
        words = (process / "cmdline").read_text(errors="replace").split("\0")
        parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
        starter = Path("/proc", parent, "comm").read_bytes().strip() if parent != "0" else b""
    except OSError:
        return False  # it ended while we looked
    ours = any(word.startswith(f"{ROOT}/") and "/lessons/" in word for word in words[:2])
    return ours and (parent in ("0", "1") or starter == b"systemd")


CHECKS = [
    Check("C++ compiler", cpp),
    Check("C++ library", library),
    Check("C library", libc),
    Check("meson", meson),
    Check("ninja", has("ninja", "ninja-build")),
    Check("doctest", doctest),
    Check("python", python),
    Check("path of this tree", tree),
    Check("proc", proc),
    Check("disk", disk),
    Check("loopback addresses", loopback),
    Check("left-over servers", leftovers),
    Check("open files", descriptors, needed=False),
    Check("ASan and UBSan", sanitizer("address,undefined"), needed=False),
    Check("TSan", sanitizer("thread"), needed=False),
    Check("ptrace", ptrace, needed=False),
    Check("clang-format", has("clang-format", "clang-format", "no style check: "), needed=False),
    Check("clang-tidy", has("clang-tidy", "clang-tidy", "no style check: "), needed=False),
]
