"""Find a function or a type in a source file by its name, the way a reader does.

    lines_of("Fd::number", Path("4_one_after_another.cpp"))

No compiler. The C++ part blanks out comments, texts and preprocessor lines, then goes from
declaration to declaration: into namespaces and types, never into the body of a function.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class Complaint(Exception):
    """What is wrong, as the end of a sentence."""


@dataclass(frozen=True)
class Definition:
    path: tuple[str, ...]  # its name after the names around it: ("Fd", "number")
    first: int  # its lines, counted from 0
    last: int  # this one included


def lines_of(name: str, file: Path) -> list[str]:
    """The one definition of `name`, with the comment directly above it."""
    wanted = tuple(re.split(r"::|\.", name))
    found = [one for one in definitions_in(file) if means(wanted, one.path)]
    if len(found) != 1:
        places = ", ".join(str(one.first + 1) for one in found)
        hint = (
            f" (lines {places}): name it in full, or go from a phrase to a phrase" if found else ""
        )
        raise Complaint(f"{file.name} defines {name} {len(found)} times, want once{hint}")
    lines = read(file).splitlines()
    first, marks = found[0].first, ("#",) if file.suffix == ".py" else ("//", "/*", "*")
    while first > 0 and lines[first - 1].lstrip().startswith(marks):
        first -= 1
    return lines[first : found[0].last + 1]


def read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Complaint(f"there is no file {file.name} in {file.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Complaint(f"cannot read {file}: {error}") from None


def means(wanted: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """`number` and `Fd::number` mean Fd::number. `Fd` means the class, not its constructor."""
    constructor = path[-2:-1] == path[-1:]
    return path[-len(wanted) :] == wanted and not (constructor and len(wanted) == 1)


def definitions_in(file: Path) -> list[Definition]:
    text = read(file)
    try:
        return python_definitions(text) if file.suffix == ".py" else cpp_definitions(text)
    except Complaint as complaint:
        raise Complaint(f"{file.name} {complaint}") from None


def python_definitions(text: str) -> list[Definition]:
    def walk(node: ast.AST, scope: tuple[str, ...]) -> Iterator[Definition]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                path = scope + (child.name,)
                first = min([child.lineno] + [one.lineno for one in child.decorator_list])
                yield Definition(path, first - 1, (child.end_lineno or first) - 1)
                yield from walk(child, path)

    try:
        return list(walk(ast.parse(text), ()))
    except SyntaxError as error:
        raise Complaint(f"is not Python (line {error.lineno}: {error.msg})") from None


# Where a bracket opens nothing. A number comes first: the quote in 1'000 opens no character.
MUTE = re.compile(
    r"""(?<!\w)\d(?:'?[\w.])*
      | //[^\n]* | /\*.*?\*/
      | R"(?P<mark>[^\s()\\]*)\(.*?\)(?P=mark)"
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
      | ^[ \t]*\#(?:\\\n|[^\n])*
      | \b(?:public|protected|private)\s*:(?!:)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
NAMESPACE = re.compile(r"\s*(?:inline\s+)?(?:namespace\b([\w:\s]*)|extern\s*)$")
TYPE = re.compile(
    r"\b(?:class|struct|union|enum(?:\s+(?:class|struct))?)\s+(\w+)\s*(?:final\s*)?(?::(?!:).*)?$",
    re.DOTALL,
)
FUNCTION = re.compile(
    r"(?<![\w:~])(?!(?:alignas|decltype|noexcept|requires|sizeof)\b)"
    r"((?:\w+::)*(?:operator\s*(?:\(\s*\)|[^\w\s(]+)|~?\w+))\s*\("
)
MEMBER_VALUE = re.compile(r"\)[\w\s]*(?<!:):(?!:).*[^)}\s]\s*$", re.DOTALL)  # `: number_{-1}`
HANDLER = re.compile(r"\s*catch\s*(?=\()")


def cpp_definitions(text: str) -> list[Definition]:
    bones = MUTE.sub(spaces, text)
    partner = brackets(bones)
    found: list[Definition] = []

    def note(path: tuple[str, ...], start: int, end: int) -> None:
        start += len(bones[start:]) - len(bones[start:].lstrip())
        found.append(Definition(path, bones.count("\n", 0, start), bones.count("\n", 0, end)))

    def define(start: int, brace: int, scope: tuple[str, ...]) -> int:
        """Notes what the declaration from `start` on defines with this body. Where does it end?"""
        head, end = without_template_arguments(bones[start:brace]), partner[brace]
        if space := NAMESPACE.match(head):
            walk(brace + 1, end, scope + tuple((space[1] or "").replace("::", " ").split()))
        elif kind := TYPE.search(head):
            note(scope + (kind[1],), start, end)
            walk(brace + 1, end, scope + (kind[1],))
        elif function := FUNCTION.search(head):
            while handler := HANDLER.match(bones, end + 1):
                end = partner[bones.index("{", partner[handler.end()])]
            note(scope + tuple(function[1].split("::")), start, end)
        return end

    def walk(at: int, stop: int, scope: tuple[str, ...]) -> None:
        start = at  # where the declaration begins that we are in
        while at < stop:
            if bones[at] == ";":
                start = at + 1
            elif bones[at] in "([" or (bones[at] == "{" and MEMBER_VALUE.search(bones[start:at])):
                at = partner[at]
            elif bones[at] == "{":
                at = define(start, at, scope)
                start = at + 1
            at += 1

    walk(0, len(bones), ())
    return found


def spaces(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def without_template_arguments(head: str) -> str:
    count = 1
    while count:  # from the innermost outwards
        head, count = re.subn(r"<[^<>]*>", spaces, head)
    return head


def brackets(bones: str) -> dict[int, int]:
    """From each opening bracket to the one that closes it."""
    partner, opened = {}, []
    for at in (found.start() for found in re.finditer(r"[][(){}]", bones)):
        if bones[at] in "([{":
            opened.append(at)
        elif opened and bones[opened[-1]] + bones[at] in ("()", "[]", "{}"):
            partner[opened.pop()] = at
        else:
            raise Complaint(
                f"closes a bracket in line {bones.count(chr(10), 0, at) + 1} for nothing"
            )
    if opened:
        raise Complaint(
            f"never closes the bracket of line {bones.count(chr(10), 0, opened[-1]) + 1}"
        )
    return partner
