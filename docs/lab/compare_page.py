"""What `lab compare` saw, as one page that needs nothing but itself: no script, no network."""

from __future__ import annotations

import os
import platform
import shlex
import time
from html import escape

from compare import FIGURES, Take, listed, longest, longest_wait, served_by, sight
from scenes import Scene
from timeline import Span, Visit, round_step, span_text

AXIS, LANE = 22, 42  # pixels: the height of the scale, and of one caller
KINDS = {
    "connecting": "is connecting",
    "queue": "waits in the kernel's queue",
    "silent": "is served, says nothing",
    "asked": "has asked, waits for the answer",
}
THIN = ("connecting", "silent")
MARKS = {
    "accepted": "is accepted and greeted",
    "answered": "is answered",
    "closed": "leaves",
    "failed": "is let down",
}
MEANING = {
    "total": "from the first call to the last goodbye; failed where something went wrong",
    "waited": "the longest that anybody waited for a greeting or an answer; a nap that they asked "
    "for is no wait",
    "processes": "the most that was seen at once",
    "threads": "the same, of all its processes",
    "memory": "the same; what processes share with each other and with others is divided (PSS)",
    "CPU": "from the first call until the server has ended, with children that it waited for",
    "switches": "how often the processor turned away from it, by its own will or not",
}

STYLE = """
:root { color-scheme: light dark; --paper: #fdfcf9; --ink: #23272e; --pale: #6a7079; --line: #dedbd3;
  --queue: #b86a00; --asked: #1f7a4d; --silent: #8d949e; --failed: #c22f2f; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191d; --ink: #e6e4df; --pale: #9aa1ab;
  --line: #343940; --queue: #f0a63c; --asked: #4cc38a; --silent: #7d858f; --failed: #ff7b72;
  --card: #1d2126; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 3rem;
  background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
.next { font-size: 1.3rem; margin: 1.6rem 0 .3rem; } footer { margin-top: 1.5rem; }
p { margin: 0 0 .6rem; } .pale, footer { color: var(--pale); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1.2rem .6rem; margin: .8rem 0; break-inside: avoid; }
svg { display: block; width: 100%; overflow: visible; font: 13px system-ui, sans-serif; }
text { fill: var(--ink); } text .pale, .scale { fill: var(--pale); } text .who { font-weight: 700; }
.grid { stroke: var(--line); }
.connecting { fill: none; stroke: var(--pale); stroke-dasharray: 2 2; }
.queue { fill: url(#hatch); stroke: var(--queue); } .hatch { stroke: var(--queue); }
.silent { fill: var(--silent); } .asked { fill: var(--asked); }
.accepted { fill: var(--card); stroke: var(--ink); stroke-width: 1.5; }
.answered { fill: var(--ink); } .closed { stroke: var(--ink); stroke-width: 2.5; }
.failed { stroke: var(--failed); stroke-width: 3; fill: none; }
.fault { border-color: var(--failed); } .fault strong { color: var(--failed); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 .6rem; font-size: .85rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; padding: 0; margin: 1rem 0;
  list-style: none; font-size: .9rem; } .legend li { display: flex; align-items: center; gap: .5rem; }
.legend svg { width: 28px; height: 14px; flex: none; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; overflow-wrap: anywhere; } thead th { color: var(--pale); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem 1rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; } summary { cursor: pointer; }
@media (max-width: 700px) {
  thead { display: none; } table, tbody, tr { display: block; }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); }
  tbody th, td { display: flex; justify-content: space-between; border: 0; padding: .1rem 0; }
  td::before { content: attr(data-name); color: var(--pale); } }
"""

# Shapes that all pictures share. A mark stands at the moment that its x says.
SHAPES = """<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path class="hatch" d="M0 0V6" stroke-width="3"/></pattern>
<circle id="accepted" class="accepted" cy="7" r="4.5"/>
<path id="answered" class="answered" d="M-5 2 L0 7 L-5 12 Z"/>
<path id="closed" class="closed" d="M0 0 V14"/>
<path id="failed" class="failed" d="M-5 2 L5 12 M-5 12 L5 2"/>
</defs></svg>"""


def page(takes: list[Take], scene: Scene, command: list[str]) -> str:
    """The whole page."""
    title = f"{listed([take.pair.title for take in takes])}: {scene.name}"
    steps = "\n".join(step.string for step in scene.steps)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    parts = [
        f"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'/>\n"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'/>\n"
        f"<link rel='icon' href='data:,'/>\n<title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n{SHAPES}",
        f"<h1>The same callers, {len(takes)} {'servers' if len(takes) > 1 else 'server'}</h1>",
        f"<p>{escape(scene.idea)}</p>",
        f"<details><summary class='pale'>The scene {scene.name}, line by line</summary>"
        f"<pre>{escape(steps)}</pre></details>",
        legend([visit for take in takes for visit in take.visits]),
        *(section(take, longest(takes)) for take in takes),
        f"<h2 class='next'>What each server takes</h2>\n{table(takes)}\n{meanings()}",
        f"<footer><p>Played on {time.strftime('%d %B %Y, %H:%M')}; {escape(machine)}. One run shows "
        "how servers differ, not how fast they are. Again: "
        f"<code>./lab {escape(shlex.join(command))}</code></p></footer>\n</body>\n</html>",
    ]
    return "\n".join(parts) + "\n"


def section(take: Take, length: float) -> str:
    """One server: what to see, what went wrong, the picture."""
    faults = "".join(f"<p><strong>Wrong:</strong> {escape(fault)}</p>\n" for fault in take.faults)
    if take.last_words:
        faults += f"<p>Its last words on standard error:</p><pre>{escape(take.last_words)}</pre>\n"
    sentence = f"<p>{escape(sight(take))}</p>\n{picture(take, length)}" if take.visits else ""
    return (
        f"<section{' class=%r' % 'fault' if take.faults else ''}>\n"
        f"<h2>{escape(take.pair.title)}</h2>\n{faults}{sentence}</section>"
    )


# The picture: times are percents of the width, so that it fits every screen and letters keep size.


def picture(take: Take, length: float) -> str:
    callers = take.callers()
    height = AXIS + LANE * len(callers)
    parts = [axis(length, height)]
    for row, (who, mine) in enumerate(callers.items()):
        parts.append(f"<g transform='translate(0 {AXIS + row * LANE})'>{label(who, mine)}")
        parts += [lane(visit, take.start, length) for visit in mine]
        parts.append("</g>")
    name = escape(sight(take), quote=True)
    return f'<svg role="img" aria-label="{name}" height="{height}">' + "\n".join(parts) + "</svg>\n"


def axis(length: float, height: int) -> str:
    step, parts = round_step(length, 6), []
    for tick in range(int(length / step) + 1):
        place = f"{tick * step / length * 100:.3f}%"
        anchor = "start" if tick == 0 else "end" if tick * step > length * 0.96 else "middle"
        said = f"{tick * step:.10g}{' s' if tick == 0 else ''}"
        parts.append(f"<line class='grid' x1='{place}' x2='{place}' y1='16' y2='{height}'/>")
        parts.append(f"<text class='scale' x='{place}' y='11' text-anchor='{anchor}'>{said}</text>")
    return "\n".join(parts)


def label(who: str, mine: list[Visit]) -> str:
    by = f" · {served_by(mine)}" if served_by(mine) else ""
    wait = f"waited {span_text(longest_wait(mine))}{by}"
    return (
        f"<text y='13'><tspan class='who'>{escape(who)}</tspan>"
        f"<tspan class='pale' dx='8'>{escape(wait)}</tspan></text>"
    )


def lane(visit: Visit, start: float, length: float) -> str:
    """One visit, from the call to the goodbye."""

    def place(moment: float) -> float:
        return (moment - start) / length * 100

    calling = Span("connecting", visit.called, visit.connected or visit.ended)
    parts = []
    for span in [calling, *visit.spans]:
        x, width = place(span.start), place(span.end) - place(span.start)
        y, height = (28, 2) if span.kind in THIN else (22, 14)
        told = f"{visit.who} {KINDS[span.kind]}: {span_text(span.length)}"
        if span.kind == "asked":
            told += ", " + span.asking.removesuffix("\\n")
        parts.append(
            f"<rect class='{span.kind}' x='{x:.3f}%' width='{max(width, 0.15):.3f}%' y='{y}' "
            f"height='{height}'><title>{escape(told)}</title></rect>"
        )
    for mark, moment in marks(visit):
        told = f"{visit.who} {MARKS[mark]}, {span_text(moment - start)} after the first call"
        parts.append(
            f"<use href='#{mark}' x='{place(moment):.3f}%' y='22'><title>{escape(told)}</title></use>"
        )
    return "\n".join(parts)


def marks(visit: Visit) -> list[tuple[str, float]]:
    found = [("accepted", visit.greeted)] if visit.greeted is not None else []
    ends = [span.end for span in visit.spans if span.kind == "asked"]
    answered = ends if visit.answered and not visit.failed else ends[:-1]
    found += [("answered", end) for end in answered if end < visit.ended]
    return [*found, ("failed" if visit.failed else "closed", visit.ended)]


def legend(seen: list[Visit]) -> str:
    """What the signs mean that this page has."""
    kinds = {span.kind for visit in seen for span in visit.spans}
    kinds |= {"connecting" for visit in seen if visit.connected is None}
    signs = {mark for visit in seen for mark, _ in marks(visit)}
    parts = []
    for kind, meaning in KINDS.items():
        y, height = (6, 2) if kind in THIN else (1, 12)
        if kind in kinds:
            shape = f"<rect class='{kind}' width='28' y='{y}' height='{height}'/>"
            parts.append(f"<li><svg aria-hidden='true'>{shape}</svg>{meaning}</li>")
    for mark, meaning in MARKS.items():
        if mark in signs:
            shape = f"<use href='#{mark}' x='14'/>"
            parts.append(f"<li><svg aria-hidden='true'>{shape}</svg>{meaning}</li>")
    return f"<ul class='legend'>{''.join(parts)}</ul>" if parts else ""


# The table


def table(takes: list[Take]) -> str:
    """The same figures as on the terminal."""
    head = "".join(f"<th scope='col'>{name}</th>" for name in ["server", *FIGURES])
    rows = []
    for take in takes:
        cells = "".join(
            f"<td data-name='{name}'>{escape(figure)}</td>"
            for name, figure in zip(FIGURES, take.figures())
        )
        rows.append(f"<tr><th scope='row'>{escape(take.pair.title)}</th>{cells}</tr>")
    body = "\n".join(rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def meanings() -> str:
    terms = "".join(f"<dt>{name}</dt><dd>{MEANING[name]}</dd>" for name in FIGURES)
    return f"<details><summary class='pale'>What is counted</summary><dl>{terms}</dl></details>"
