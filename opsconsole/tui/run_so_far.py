"""A run that is under way as a page: what its screen has to cut, in full."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from opsconsole import figures
from opsconsole.load.live_probes import Tried
from opsconsole.load.summary import law, per_second, span, took
from opsconsole.text import clean_line
from opsconsole.tui.load_desk import Session

_STATES = {
    "now": "under way",
    "held": "held",
    "broke": "broke",
    "client": "the generator was the limit",
    "stopped": "stopped",
}


def so_far(session: Session, width: int) -> str:
    """What would make it INVALID, what was tried and why it broke, every error with its example.

    Args:
        width: Columns of a line.
    """
    live = session.live
    parts = [_figures(session)]
    if why := live.warnings:
        parts.append(_section("INVALID as it stands", list(why), width))
    if live.probes:
        clients = live.plan.steps is not None and live.plan.search is None
        told = [_tried(each, clients=clients) for each in live.probes]
        parts.append(_section("tried so far", told, width))
    errors = [
        f"{each.number:,} × {clean_line(each.kind, 120)}"
        + (f": {clean_line(each.example, 1000)}" if each.example else "")
        for each in live.errors(session.run.examples)
    ]
    column = live.whole if live.whole else live.recent
    errors += [
        f"{count:,} × on this side: {clean_line(kind, 120)}"
        for kind, count in column.client.failures.items()
    ]
    parts.append(_section("errors", errors or ["none"], width))
    if session.run.interventions:
        changes = [clean_line(change, 120) for change in session.run.interventions]
        parts.append(_section("changed by hand", changes, width))
    return "\n\n".join(parts)


def _figures(session: Session) -> str:
    live = session.live
    column = live.whole if live.whole else live.recent
    totals = column.totals
    phase = live.phase
    lines = [
        f"{clean_line(session.plan.name, 60)}, {span(live.seconds)} so far"
        + (f": {law(phase)}" if phase is not None else ""),
        f"{totals.ended:,} request{'s' * (totals.ended != 1)}, "
        f"{totals.ended - totals.good:,} failed, "
        f"{per_second(totals.rates(column.rated).good)}/s good",
        ", ".join(f"{name} {took(column.latency(name))}" for name in ("p50", "p95", "p99", "max")),
    ]
    return "\n".join(lines)


def _tried(each: Tried, *, clients: bool) -> str:
    level = f"{each.level:,.0f} clients" if clients else f"{each.level:.4g}/s"
    success = figures.DASH if each.success is None else f"{figures.percent(each.success)}%"
    words = (
        f"{level}: {_STATES[each.state]}; {per_second(each.rate)}/s good, p95 {took(each.p95)}, "
        f"{success} ok"
    )
    return f"{words}; {clean_line(each.why, 1000)}" if each.why else words


def _section(title: str, entries: Sequence[str], width: int) -> str:
    lines = [title]
    for entry in entries:
        lines += wrap(entry, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)
