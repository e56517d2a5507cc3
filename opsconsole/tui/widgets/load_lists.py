"""The errors of a run by kind, and what a search or a stress test has tried."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from opsconsole import figures
from opsconsole.load.live import Live
from opsconsole.load.live_probes import Tried
from opsconsole.load.summary import per_second
from opsconsole.text import clean_line
from opsconsole.tui.widgets.load_figures import share_of_all
from opsconsole.tui.widgets.load_ink import Cell, Ink, fit, line

_EXAMPLE = 300
_ROOMY = 68
_WITH_WHY = 5
"""Lines of the table from which a reason may take some of them, and how many."""
_MOST_WHY = 2
_WHY = 12
"""Columns in which a reason begins to say something."""


def error_lines(
    ink: Ink, live: Live, examples: dict[str, str], width: int, most: int
) -> list[Text]:
    """Kinds with count and rate, most frequent first, each with an example: under it where there
    is room, else beside it. Trouble on this side is said as such. At most ``most`` lines."""
    kinds = live.errors(examples)
    own = (live.whole if live.whole else live.recent).client.failures
    rows: list[tuple[str, float, str, str]] = [
        (
            f"{each.number:,}",
            each.rate,
            clean_line(each.kind, 80),
            clean_line(said_in(each.example), _EXAMPLE),
        )
        for each in kinds
    ]
    rows += [
        (f"{count:,}", 0.0, f"on this side: {clean_line(kind, 70)}", "")
        for kind, count in sorted(own.items(), key=lambda item: -item[1])
    ]
    if most < 1:
        return []
    if not rows:
        return [line([Cell("errors  ", ink.bright), Cell("none", ink.dim)], width)]
    under = sum(1 + bool(row[3]) for row in rows) <= most
    shown = rows if len(rows) <= most or most == 1 else rows[: most - 1]
    shown = shown[:most]
    size = max(len(number) for number, *_ in shown)
    lines = []
    for place, (number, rate, kind, example) in enumerate(shown):
        lead = "errors  " if place == 0 else " " * 8
        cells = [
            Cell(lead, ink.bright),
            Cell(f"{number:>{size}} {ink.plain('×')} {kind}", ink.warn),
        ]
        if rate:
            cells.append(Cell(f"  {per_second(rate)}/s", ink.dim))
        if most == 1 and len(rows) > 1:
            cells.append(Cell(f"  +{len(rows) - 1} more kind{'s' * (len(rows) > 2)}", ink.dim))
        if example and not under:
            cells.append(Cell(f"  {example}", ink.dim))
        lines.append(line(cells, width))
        if example and under:
            lead = " " * (8 + size + 3)
            room = max(0, width - len(lead))
            text = fit(example, room, ascii_=ink.symbols.plain).rstrip()
            lines.append(line([Cell(lead), Cell(text, ink.dim)], width))
    if len(shown) < len(rows) and most > 1:
        lines.append(line([Cell(f"{'':8}and {len(rows) - len(shown)} more", ink.dim)], width))
    return lines[:most]


_SAID = re.compile(r'"(message|msg|detail|error|title|reason)"\s*:\s*"((?:[^"\\]|\\.)+)')
_BEST = ("message", "msg", "detail", "error", "title", "reason")


def said_in(example: str) -> str:
    """The words for people in an answer of JSON, which may be cut anywhere; else all of it."""
    status = re.match(r"(\d{3} (\([^)]*\) )?)?(?=\s*\{)", example)
    if status is None:
        return example
    found: dict[str, str] = {}
    for key, words in _SAID.findall(example):
        found.setdefault(key, words)
    words = next((found[key] for key in _BEST if key in found), "")
    try:
        said = str(json.loads(f'"{words}"'))
    except ValueError:
        said = words  # cut within an escape
    return f"{status[0]}{said}" if said else example


def probe_lines(ink: Ink, live: Live, width: int, most: int) -> list[Text]:
    """What was tried and what became of it, the newest last; the oldest go first when there is no
    room. Under them, with room, why the newest that says so broke, where its row had to cut it.
    Empty for other plans."""
    probes = live.probes
    if not probes or most < 2:
        return []
    clients = live.plan.steps is not None and live.plan.search is None
    title = "clients" if clients else "rate"
    heads = "".join(f"{name:>8}" for name in _heads(width))
    lines = [line([Cell(f"{title:<9}", ink.bright), Cell(heads, ink.dim)], width)]
    why = _why(ink, probes, width, clients=clients) if most >= _WITH_WHY else []
    for each in probes[-(most - 1 - len(why)) :]:
        lines.append(_probe(ink, each, width, clients=clients))
    return [*lines, *why]


def _why(ink: Ink, probes: Sequence[Tried], width: int, *, clients: bool) -> list[Text]:
    """All reasons of the newest probe whose row has no room for them."""
    told = next((each for each in reversed(probes) if each.why), None)
    if told is None:
        return []
    full = ink.plain(clean_line(told.why, 300))
    if full in _probe(ink, told, width, clients=clients).plain:
        return []
    lead = f"{_level(told, clients=clients)}: "
    lines = wrap(lead + full, max(20, width - 2), subsequent_indent="  ")[:_MOST_WHY]
    return [line([Cell(f"  {each}", ink.dim)], width) for each in lines]


def _level(each: Tried, *, clients: bool) -> str:
    return f"{each.level:,.0f} clients" if clients else f"{each.level:.4g}/s"


def _heads(width: int) -> tuple[str, ...]:
    """Columns of a probe: why it broke is worth more than its tail."""
    return ("good/s", "p95", "p99", "ok %") if width >= _ROOMY else ("good/s", "p95", "ok %")


def _probe(ink: Ink, each: Tried, width: int, *, clients: bool) -> Text:
    symbols = ink.symbols
    mark, word, style = {
        "now": (symbols.half, "now", ink.accent),
        "held": (symbols.up, "held", ink.good),
        "broke": (symbols.down, "broke", ink.bad),
        "client": (symbols.warn, "generator", ink.warn),
        "stopped": (symbols.off, "stopped", ink.dim),
    }[each.state]
    level = f"{each.level:,.0f}" if clients else f"{each.level:.4g}/s"
    success = (
        figures.DASH if each.success is None else share_of_all(round(each.success * 1e6), 10**6)
    )
    told = {
        "good/s": per_second(each.rate),
        "p95": figures.latency(each.p95),
        "p99": figures.latency(each.p99),
        "ok %": success,
    }
    values = [told[name] for name in _heads(width)]
    cells = [
        Cell(f"{level:<9}"),
        Cell("".join(f"{ink.plain(value):>8}" for value in values)),
        Cell(f"  {mark} {word}", style),
    ]
    used = sum(len(cell.text) for cell in cells) + 2
    if each.why and width - used >= _WHY:
        cells.append(Cell(f"  {_reasons(ink, each.why, width - used)}", ink.dim))
    return line(cells, width)


def _reasons(ink: Ink, why: str, room: int) -> str:
    """As many whole reasons as there is room for; of the first at least its begin."""
    first, *rest = ink.plain(clean_line(why, 300)).split("; ")
    text = fit(first, room, ascii_=ink.symbols.plain).rstrip()
    for reason in rest:
        if cell_len(text) + 2 + cell_len(reason) > room:
            break
        text += f"; {reason}"
    return text
