"""What a formatter, a linter and a few rules of our own say about the tree.

Meson runs this as the suite `style`. Exit code 77 means that a tool is not there, so nothing was
looked at."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, NoReturn

ROOT = Path(__file__).resolve().parents[2]
TOP = set("LICENSE README.md clients docs exercises lab lessons meson.build solutions".split())
TELLTALES = {
    r"/(work|root|home|tmp/wt)/": "a path of one machine",
    r"(?i)\b(simply|obviously|just)\b": "a word that tells the reader he should know already",
}
SPEAKS_OF_THEM = {"docs/style.md", "docs/tests/style.py"}  # names those words to forbid them


def skip(why: str) -> NoReturn:
    print(f"skipped: {why}")
    sys.exit(77)


def need(tool: str) -> str:
    return shutil.which(tool) or skip(f"{tool} is missing: apt-get install {tool}")


def tracked(*patterns: str) -> list[Path]:
    """The files under version control, so that what a reader left lying about is not judged."""
    done = subprocess.run(
        [need("git"), "-c", "safe.directory=*", "ls-files", "-z", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def show(command: list[str], **more: str) -> bool:
    """Runs a tool that judges, shows what it says when it is not content."""
    environment = dict(os.environ, **more)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


def clang_format(_: Path) -> bool:
    sources = map(str, tracked("*.cpp", "*.hpp"))
    return show([need("clang-format"), "--dry-run", "-Werror", *sources])


def clang_tidy(build: Path) -> bool:
    """Every translation unit of the build, as many at a time as there are cores. It takes ten
    seconds each, so what was found clean is not judged again until it or its headers change."""
    tidy = [need("clang-tidy"), "--quiet", "-p", str(build)]
    known = build / "clang-tidy-clean"
    known.mkdir(exist_ok=True)
    ours = {ROOT / file for file in tracked("*.cpp")}  # and not what Meson puts them together to

    def clean(files: frozenset[str]) -> bool:
        """A unit is known by all that it is made of; its sources stand among its headers."""
        content = [ROOT / ".clang-tidy", *map(Path, sorted(files))]
        contents = hashlib.sha256(b"".join(path.read_bytes() for path in content))
        stamp = known / contents.hexdigest()
        sources = [file for file in files if file.endswith(".cpp") and Path(file) in ours]
        if not stamp.exists() and show([*tidy, *sources]):
            stamp.touch()
        return stamp.exists()

    with ThreadPoolExecutor(os.cpu_count()) as cores:
        return all(list(cores.map(clean, units(build))))


def units(build: Path) -> list[frozenset[str]]:
    """Of each translation unit the files of ours that it is made of, as the compiler told Ninja."""
    ninja = [need("ninja"), "-C", str(build)]
    subprocess.run([*ninja, "clients/load/load", "clients/load/epoll_echo"], check=True)
    told = subprocess.run(
        [*ninja, "-t", "deps"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = set()
    for unit in told.stdout.split("\n\n"):
        head, *lines = unit.splitlines() or [""]
        paths = (os.path.realpath(build / line.strip()) for line in lines)
        if head.endswith("(VALID)"):  # and not of a unit that is no more
            found.add(frozenset(path for path in paths if path.startswith(f"{ROOT}/")))
    return sorted(found, key=sorted)


def black(_: Path) -> bool:
    scripts = [*map(str, tracked("*.py")), str(ROOT / "lab")]
    return show([need("black"), "--quiet", "--diff", "--check", "--line-length=100", *scripts])


def mypy(build: Path) -> bool:
    """Folder by folder, as Python would find their modules."""
    folders: dict[Path, list[str]] = {}
    for script in [*tracked("*.py"), ROOT / "lab"]:
        folders.setdefault(script.parent, []).append(str(script))
    paths = os.pathsep.join(
        str(ROOT / folder)
        for folder in ("clients", "docs", "docs/lab", "exercises/coach", "lessons/common")
    )
    judge = [need("mypy"), "--strict", "--scripts-are-modules", f"--cache-dir={build}/mypy"]
    return all([show([*judge, *scripts], MYPYPATH=paths) for scripts in folders.values()])


def rules(_: Path) -> bool:
    broken = [*top_level(), *words(), *naps()]
    print("\n".join(broken))
    return not broken


def top_level() -> Iterator[str]:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    for name in sorted(names - TOP):
        if not name.startswith("."):
            yield f"{name}: the top level holds {', '.join(sorted(TOP))} and nothing else"


def words() -> Iterator[str]:
    for path in tracked("*.cpp", "*.hpp", "*.md", "*.py", "*.build", "lab", ".ci/run"):
        name = str(path.relative_to(ROOT))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for telltale, why in TELLTALES.items():
                if name not in SPEAKS_OF_THEM and re.search(telltale, line):
                    yield f"{name}:{number}: {why}: {line.strip()}"


def naps() -> Iterator[str]:
    """A test that sleeps says why: most sleeps hope that something will be over by then."""
    for path in tracked("*.cpp", "*.py"):
        if not path.name.startswith("test"):
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            explained = re.search(r'//|#|"""', "".join(lines[max(0, number - 5) : number]))
            if re.search(r"\bsleep_for\(|\btime\.sleep\(", line) and not explained:
                yield f"{path.relative_to(ROOT)}:{number}: a sleep without a comment that says why"


JUDGES = {judge.__name__: judge for judge in (black, clang_format, clang_tidy, mypy, rules)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", choices=JUDGES)
    parser.add_argument("build", type=Path, help="a build folder, for its compile_commands.json")
    said = parser.parse_args()
    sys.exit(0 if JUDGES[said.judge](said.build) else 1)
