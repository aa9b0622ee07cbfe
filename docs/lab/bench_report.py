"""What `lab bench` has seen, as a table at the terminal, Markdown, JSON and a page with plots.

The JSON is the record, and everything else is made from it. Its fields (schema 1):

  when, seconds, quick, rounds   the run
  machine      system, kernel, processor, cores, load_core, server_core, compiler, build, python
  others       how many cores were busy with something else, on average; `stolen` by the host
  left_out     modes that this machine has no room for, and why
  reference    the name of the server that all are compared with
  servers      name, title, command of each; the second is the reference once more
  modes        name, title, scene (the options of clients/load), others and stolen in this mode, and
    noise      how far the reference was from itself: 0.03 is 3 %; more where others were busy or the
               host took time; null when the reference could not be measured
    results    by server: either `lost`, a sentence that says what it did, or
      ratio           work per processor second, as a ratio to the reference in the same round: the
                      lower quarter, the middle and the upper quarter of all rounds
      per_cpu_second  messages (beside a flooder: bytes) for a second of the server's processor time
      per_second      messages in a second of the clock
      cpu_us, load_us microseconds of the server's and of the load generator's processor, a message
      processes, threads   when all callers were there
      switches        of context, for a message
      own_kib, kernel_kib  memory for one idle caller: the server's (PSS), and the kernel's, where
                      both ends of the line count
      grown_kib       what the server grew by, for one slow reader
      waits           microseconds from when a question was due: count, p50, p99, p999, max, and a
                      histogram of [step, how many], where step is ten times the decimal logarithm
"""

import html
import json
import math
import os
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

PAGE = Path(__file__).resolve().parents[1] / "comparing.md"
BEGIN = "<!-- The rest of this page is written by `./lab bench --write`. -->\n"
SCHEMA = 1
TOO_NOISY = 0.25  # the reference is so far from itself: nothing can be said
Report = dict[str, Any]


class Table(NamedTuple):
    title: str
    note: str
    rows: list[list[str]]  # the first has the titles


def again(name: str) -> str:
    return f"{name}, again"


def step_of(microseconds: int) -> int:
    return int(10 * math.log10(max(1, microseconds)))


def write(report: Report, folder: Path) -> list[Path]:
    """All or nothing: a page that is not written to its end does not take the name of one."""
    pages = {
        "bench.json": as_json(report),
        "bench.md": markdown(report),
        "bench.html": page(report),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pages.items():
        (folder / f".{name}").write_text(content, encoding="utf-8")
    for name in pages:
        os.replace(folder / f".{name}", folder / name)
    return [folder / name for name in pages]


def record(report: Report) -> Path:
    """Puts a run into the page that explains such runs."""
    above = PAGE.read_text(encoding="utf-8").split(BEGIN)[0]
    PAGE.write_text(
        f"{above}{BEGIN}\n## A recorded run\n\n{chapters(report, '###')}", encoding="utf-8"
    )
    return PAGE


def as_json(report: Report) -> str:
    return json.dumps(report, indent=1) + "\n"


# What is said.


def machine(report: Report) -> list[str]:
    facts = report["machine"]
    cores = f"{facts['cores']} cores" if facts["cores"] > 1 else "1 core"
    apart = facts["load_core"] != facts["server_core"]
    return [
        f"{report['when']}, {report['seconds']:.0f} s, {report['rounds']} rounds"
        + (", quick" if report["quick"] else ""),
        f"{facts['processor']}, {cores}; {facts['system']}, Linux {facts['kernel']}",
        f"{facts['compiler']}; build: {facts['build']}",
        f"servers on core {facts['server_core']}, callers on "
        + (f"core {facts['load_core']}" if apart else "the same: there is no other"),
        f"others kept {report['others']:.2f} cores busy; the host took {report['stolen']:.1%}",
        *report["left_out"],
    ]


def tables(report: Report) -> list[Table]:
    found = [work(report), price(report), waiting(report), room(report), switching(report)]
    return [table for table in found if len(table.rows) > 1 and len(table.rows[0]) > 1]


def work(report: Report) -> Table:
    def cell(mode: Report, name: str) -> str:
        ratio = mode["results"][name].get("ratio")
        if not ratio:
            return "–"
        sign = "" if differs(mode, name) else " ~"
        return f"{ratio[1]:.2f} ±{spread(mode, ratio):.0%}{sign}"

    rows = grid(report, report["modes"], cell)
    noise = ["" if mode["noise"] is None else f"±{mode['noise']:.0%}" for mode in report["modes"]]
    rows.append(["noise", *noise])
    return Table(
        "Work for a second of the server's processor",
        f"As a ratio to {report['reference']} in the same round: 0.50 does half as much. "
        "Behind ± stands how far the next run may be from this one: as far as the quarters of all "
        "rounds are apart, or as the noise. ~ is within that; – has no figure, and why is said below.",
        rows,
    )


def price(report: Report) -> Table:
    def cell(mode: Report, name: str) -> str:
        result = mode["results"][name]
        return f"{result['cpu_us']:.1f}" if "cpu_us" in result else "–"

    modes = [mode for mode in report["modes"] if "flooders" not in mode["scene"]]
    rows = grid(report, modes, cell)
    ours = []
    for mode in modes:
        seen = [r["load_us"] for r in mode["results"].values() if "load_us" in r]
        ours.append(f"{sum(seen) / len(seen):.1f}" if seen else "–")
    rows.append(["(the load generator)", *ours])
    return Table("Microseconds of processor for a message", "Of this machine, in this hour.", rows)


def waiting(report: Report) -> Table:
    rows = [["µs", *(f"{m['name']} {p}" for m in timed(report) for p in ("p50", "p99", "p99.9"))]]
    for server in report["servers"]:
        cells = []
        for mode in timed(report):
            seen = mode["results"][server["name"]].get("waits")
            cells += [f"{seen[p]:,}" if seen else "–" for p in ("p50", "p99", "p999")]
        rows.append([server["name"], *cells])
    return Table(
        "Waiting for an answer",
        "In microseconds, from the moment when the question was due, whether or not the answers "
        "before had come. Other programs on the machine are in it.",
        rows,
    )


def timed(report: Report) -> list[Report]:
    return [mode for mode in report["modes"] if "rate" in mode["scene"]]


def room(report: Report) -> Table:
    idle = next((mode for mode in report["modes"] if "idle" in mode["scene"]), None)
    slow = next((mode for mode in report["modes"] if "slow" in mode["scene"]), None)
    titles = ["KiB own", "KiB kernel", "processes", "threads"] if idle else []
    rows = [["", *titles, *(["KiB for a slow reader"] if slow else [])]]
    for server in report["servers"]:
        cells = []
        if idle:
            seen = idle["results"][server["name"]]
            for key in ("own_kib", "kernel_kib", "processes", "threads"):
                cells.append(f"{seen[key]:,}" if key in seen else "–")
        if slow:
            seen = slow["results"][server["name"]]
            cells.append(f"{seen['grown_kib']:,}" if "grown_kib" in seen else "–")
        rows.append([server["name"], *cells])
    callers = idle["scene"]["idle"] + idle["scene"]["active"] if idle else 0
    return Table(
        "Room for one idle caller",
        f"With {callers:,} callers. Own is what the server takes (PSS); the kernel's share holds "
        "sockets of both ends, stacks and page tables, and everything else that began meanwhile.",
        rows,
    )


def switching(report: Report) -> Table:
    modes = [mode for mode in report["modes"] if mode["name"].startswith("ping_")]

    def cell(mode: Report, name: str) -> str:
        seen = mode["results"][name].get("switches")
        return "–" if seen is None else f"{seen:.2f}"

    return Table(
        "Context switches for a message",
        "A switch is a thread of the server that falls asleep, or that must make way.",
        grid(report, modes, cell),
    )


def grid(
    report: Report, modes: list[Report], cell: Callable[[Report, str], str]
) -> list[list[str]]:
    names = [server["name"] for server in report["servers"]]
    rows = [["", *(mode["name"] for mode in modes)]]
    return rows + [[name, *(cell(mode, name) for mode in modes)] for name in names]


def spread(mode: Report, ratio: list[float]) -> float:
    """How far apart the quarters are, as a part of the figure; and no less than the noise."""
    low, middle, high = ratio
    return max((high - low) / middle, float(mode["noise"]))


def differs(mode: Report, name: str) -> Optional[bool]:
    """Whether this server differs from the reference by more than chance explains."""
    ratio, noise = mode["results"][name].get("ratio"), mode["noise"]
    if not ratio or noise is None or noise > TOO_NOISY:
        return None
    low, middle, high = ratio
    return bool(abs(middle - 1) > spread(mode, ratio) + 1e-9 and not low <= 1 <= high)


def conclusions(report: Report) -> list[str]:
    """Who does more for a second of processor, as far as this run can tell."""
    names = [server["name"] for server in report["servers"] if ", again" not in server["name"]]
    return [f"{mode['name']}: {conclusion(mode, names)}" for mode in report["modes"]]


def conclusion(mode: Report, names: list[str]) -> str:
    noise = mode["noise"]
    if noise is None:
        return "the reference could not be measured, so there is nothing to compare with."
    if noise > TOO_NOISY:
        return f"too noisy. The reference differs from itself by {noise:.0%}: no conclusion."
    seen = {name: mode["results"][name].get("ratio") for name in names}
    ratios: dict[str, list[float]] = {name: ratio for name, ratio in seen.items() if ratio}
    ranked = sorted(ratios, key=lambda name: -ratios[name][1])
    said = ranked[0]
    for better, worse in zip(ranked, ranked[1:]):
        apart = ratios[better][0] > ratios[worse][2]
        clear = ratios[better][1] / ratios[worse][1] - 1 > noise
        said += f" {'>' if apart and clear else '≈'} {worse}"
    return said


def losses(report: Report) -> list[str]:
    """Each sentence once, with all the modes where it holds."""
    modes: dict[str, list[str]] = {}
    for mode in report["modes"]:
        for name, result in mode["results"].items():
            if "lost" in result:
                modes.setdefault(f"{name} {result['lost']}", []).append(mode["name"])
    return [f"{', '.join(names)}: {sentence}" for sentence, names in sorted(modes.items())]


READ_SO = "More work for a second of processor stands left; ≈ is a difference that the noise hides."


# At the terminal.


def text(report: Report) -> str:
    parts = ["\n".join(machine(report))]
    for table in tables(report):
        widths = [max(map(len, column)) for column in zip(*table.rows)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in table.rows
        ]
        parts.append("\n".join([table.title, *lines]))
    parts.append("\n".join(["What this run can say", *conclusions(report), READ_SO]))
    if losses(report):
        parts.append("\n".join(["Without figures", *losses(report)]))
    return "\n" + "\n\n".join(parts)


# Markdown.


def markdown(report: Report) -> str:
    return f"# What servers cost\n\n{chapters(report)}"


def chapters(report: Report, mark: str = "##") -> str:
    parts = [bullets(machine(report)), "The servers:", bullets(servers_of(report))]
    parts += ["What their callers do:", bullets(modes_of(report))]
    for table in tables(report):
        titles, *rows = [["&nbsp;" if not cell else cell for cell in row] for row in table.rows]
        lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
        drawn = "\n".join("| " + " | ".join(map(in_cell, line)) + " |" for line in lines)
        parts += [f"{mark} {table.title}", table.note, drawn]
    parts += [f"{mark} What this run can say", READ_SO, bullets(conclusions(report))]
    if losses(report):
        parts += [f"{mark} Without figures", bullets(losses(report))]
    return "\n\n".join(parts) + "\n"


def modes_of(report: Report) -> list[str]:
    return [f"`{mode['name']}`: {mode['title']}" for mode in report["modes"]]


def servers_of(report: Report) -> list[str]:
    return [f"`{server['name']}`: {server['title']}" for server in report["servers"]]


def in_cell(words: str) -> str:
    return words.replace("|", "\\|")


def bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


# The page.

LIGHT = ["#0b62a4", "#c4500a", "#0a7a55", "#a63d80", "#7a5c00", "#5b4bb5", "#4d5a66", "#b3261e"]
DARK = ["#6cb4ee", "#f59a5c", "#5fd0a5", "#e493c4", "#dcbc5a", "#b0a4f5", "#b4c0cc", "#ff9a92"]
STYLE = """
:root { color-scheme: light dark; --page: #fcfcfa; --ink: #1d2126; --soft: #5f6872;
  --line: #dcdfe2; %s }
@media (prefers-color-scheme: dark) { :root { --page: #16191d; --ink: #e6e8ea;
  --soft: #9aa4ae; --line: #343a41; %s } }
body { background: var(--page); color: var(--ink); margin: 0 auto; padding: 1rem;
  max-width: 60rem; font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.2 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem }
p, ul { margin: .4rem 0 } ul { padding-left: 1.2rem } .note, .facts { color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0;
  font-variant-numeric: tabular-nums } th, td { text-align: right; padding: .25rem .7rem;
  border-bottom: 1px solid var(--line); white-space: nowrap } th { font-weight: 600 }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
svg { width: 100%%; height: auto; max-width: 42rem; display: block }
svg text { fill: var(--soft); font: 13px system-ui, sans-serif } .grid { stroke: var(--line) }
.curve { fill: none; stroke-width: 2.2 } li { overflow-wrap: anywhere }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .9rem; list-style: none;
  padding: 0 } .key i { display: inline-block; width: 1.4rem; height: 0; vertical-align: middle;
  margin-right: .4rem; border-top: 3px solid }
"""
Points = list[tuple[float, float]]


def page(report: Report) -> str:
    hues = [" ".join(f"--c{i}: {hue};" for i, hue in enumerate(them)) for them in (LIGHT, DARK)]
    body = ["<h1>What servers cost</h1>", listed(machine(report), "facts")]
    body.append("<p>The same callers for all, by turns of 20 ms; each server is compared with ")
    body.append(f"{html.escape(report['reference'])} in the same round.</p>")
    for title, note, chart in charts(report):
        body += [f"<h2>{title}</h2><p class='note'>{note}</p>", chart]
    for table in tables(report):
        body.append(f"<h2>{html.escape(table.title)}</h2>")
        body.append(f"<p class='note'>{html.escape(table.note)}</p>{as_html(table)}")
    body += ["<h2>What this run can say</h2>", f"<p class='note'>{READ_SO}</p>"]
    body.append(listed(conclusions(report)))
    if losses(report):
        body += ["<h2>Without figures</h2>", listed(losses(report))]
    for title, lines in {"Servers": servers_of(report), "Callers": modes_of(report)}.items():
        body += [f"<h2>{title}</h2>", listed([line.replace("`", "") for line in lines])]
    return (
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<link rel='icon' href='data:,'><title>What servers cost</title>"
        f"<style>{STYLE % tuple(hues)}</style>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def listed(lines: list[str], kind: str = "") -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<ul class='{kind}'>{items}</ul>"


def as_html(table: Table) -> str:
    titles, *rows = table.rows
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in titles)
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"


def charts(report: Report) -> list[tuple[str, str, str]]:
    names = [server["name"] for server in report["servers"] if ", again" not in server["name"]]
    found = []
    growth = {name: points for name in names if len(points := growth_of(report, name)) > 1}
    if growth:
        chart = drawn(names, growth, "callers", "µs of processor for a message", ["1", "µs"])
        note = "Microseconds of the server's processor for a message; both axes grow by factors."
        found.append(("Cost against the number of callers", note, chart))
    for mode in timed(report):
        curves = {name: points for name in names if (points := tail_of(mode["results"][name]))}
        if curves:
            chart = drawn(names, curves, "µs", "share that waited longer", ["µs", "%"])
            note = f"{html.escape(mode['title'])}. One in a hundred waits longer than where a "
            note += "curve meets 1 %: the further left, the better."
            found.append((f"Waiting: {mode['name']}", note, chart))
    return found


def growth_of(report: Report, name: str) -> Points:
    return [
        (mode["scene"]["active"], mode["results"][name]["cpu_us"])
        for mode in report["modes"]
        if mode["name"].startswith("ping_") and "cpu_us" in mode["results"][name]
    ]


def tail_of(result: Report) -> Points:
    """How many waited longer than each step of the histogram."""
    if "waits" not in result:
        return []
    total = left = result["waits"]["count"]
    points = []
    for step, count in result["waits"]["histogram"]:
        points.append((10 ** (step / 10), left / total * 100))
        left -= count
    return points


def drawn(
    names: list[str], curves: dict[str, Points], across: str, up: str, units: list[str]
) -> str:
    """Curves over two axes that grow by factors of ten, and a key."""
    wide, high, left, right, bottom = 500.0, 310.0, 58.0, 26.0, 44.0
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points]
    x_ends, y_ends = decades(xs), decades(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        part_x = (math.log10(x) - x_ends[0]) / (x_ends[1] - x_ends[0])
        part_y = (math.log10(y) - y_ends[0]) / (y_ends[1] - y_ends[0])
        return left + part_x * (wide - left - right), high - bottom - part_y * (high - bottom - 14)

    marks = [f"<svg viewBox='0 0 {wide:g} {high:g}' role='img' aria-label='{up}, by {across}'>"]
    for power in range(x_ends[0], x_ends[1] + 1):
        x, y = place(10**power, 10 ** y_ends[0])
        marks.append(f"<path class='grid' d='M{x:.1f} {y:.1f}V14'/>")
        marks.append(
            f"<text x='{x:.1f}' y='{y + 18:.1f}' text-anchor='middle'>{tick(power)}</text>"
        )
    for power in range(y_ends[0], y_ends[1] + 1):
        x, y = place(10 ** x_ends[0], 10**power)
        sign = " %" if units[1] == "%" else ""
        marks.append(f"<path class='grid' d='M{x:.1f} {y:.1f}H{wide - right:g}'/>")
        label = (
            f"<text x='{x - 8:.1f}' y='{y + 4:.1f}' text-anchor='end'>{tick(power)}{sign}</text>"
        )
        marks.append(label)
    marks.append(f"<text x='{wide - right:g}' y='{high - 8:g}' text-anchor='end'>{across} →</text>")
    key = []
    for name, points in curves.items():
        number = names.index(name)
        hue = f"var(--c{number % len(LIGHT)})"
        dashes, line_of_key = ("", "solid") if number < len(LIGHT) else ("7 4", "dashed")
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        marks.append(
            f"<polyline class='curve' style='stroke:{hue}' stroke-dasharray='{dashes}' "
            f"points='{line}'><title>{html.escape(name)}</title></polyline>"
        )
        key.append(
            f"<li><i style='border-color:{hue};border-top-style:{line_of_key}'></i>"
            f"{html.escape(name)}</li>"
        )
    return "".join([*marks, "</svg>", f"<ul class='key'>{''.join(key)}</ul>"])


def decades(values: list[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def tick(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0 ** power:g}"
