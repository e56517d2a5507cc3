"""The stored runs as rows of a table, and one of them in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opsconsole.load.summary import Summary, moment, per_second, span, took
from opsconsole.text import clean_line
from opsconsole.tui.symbols import Look, Symbols
from opsconsole.tui.widgets.table import Cell, Column, Row

COLUMNS = (
    Column("when", "stored run", 11),
    Column("plan", "load test", 11, flex=True),
    Column("verdict", "verdict", 10),
    Column("rate", "good/s", 6, right=True, priority=2),
    Column("p95", "p95", 6, right=True, priority=1),
    Column("errors", "errors", 6, right=True, priority=3),
    Column("baseline", "baseline", 9, priority=1),
    Column("servers", "servers", 14, priority=4, flex=True),
)
MOST = 1000
"""Runs that are listed; the newest."""


def look(symbols: Symbols, summary: Summary) -> Look:
    """What a run's verdict looks like."""
    word = summary.verdict
    return {
        "passed": Look(symbols.up, word, "good"),
        "failed": Look(symbols.down, word, "bad"),
        "invalid": Look("!", word, "warn"),
        "stopped": Look(symbols.warn, word, "warn"),
        "measured": Look(symbols.up, word, "accent"),
    }[word]


def rows(runs: Sequence[Summary], baselines: frozenset[str], symbols: Symbols) -> list[Row]:
    """A row a run, the newest first."""
    now = datetime.now().astimezone()
    return [_row(summary, summary.id in baselines, symbols, now) for summary in runs]


def _row(summary: Summary, is_baseline: bool, symbols: Symbols, now: datetime) -> Row:
    verdict = look(symbols, summary)
    bad = summary.errors > 0
    return Row(
        summary.id,
        {
            "when": Cell(when(summary.at, now)),
            "plan": Cell(clean_line(summary.plan, 40), "bright"),
            "verdict": Cell(f"{verdict.mark} {verdict.word}", verdict.style),
            "rate": Cell(per_second(summary.rate)),
            "p95": Cell(took(summary.p95)),
            "errors": Cell(_count(summary.errors), "bad" if bad else "dim"),
            "baseline": Cell("baseline" if is_baseline else "", "accent"),
            "servers": Cell(clean_line(", ".join(summary.servers), 60), "dim"),
        },
    )


def _count(number: int) -> str:
    """In six columns: ``12,345``, ``156k``, ``1.2M``."""
    if number < 100_000:
        return f"{number:,}"
    return f"{number / 1e3:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def when(at: float, now: datetime) -> str:
    """``14:30:10`` of today, ``11-20 14:30`` of this year, ``2025-11-20`` before."""
    then = datetime.fromtimestamp(at).astimezone()
    if then.date() == now.date():
        return then.strftime("%H:%M:%S")
    return then.strftime("%m-%d %H:%M" if then.year == now.year else "%Y-%m-%d")


def title(summary: Summary) -> str:
    """A run in a list to choose from."""
    return f"{moment(summary.at)[:19]}  {clean_line(summary.plan, 40)}"


def in_words(summary: Summary) -> tuple[str, str, str]:
    """A stored run in three sentences; clean."""
    kept = summary.thresholds - summary.broken
    judged = f"{kept} of {summary.thresholds} thresholds kept" if summary.thresholds else ""
    if judged and summary.verdict == "invalid":
        judged = "thresholds not judged"
    reason = clean_line(summary.headline, 200)
    if summary.headline.startswith("by "):
        reason = f"stopped {reason}"
    by_hand = f"changed by hand: {clean_line(summary.by_hand, 200)}" if summary.by_hand else ""
    figures = (
        f"{summary.requests:,} requests in {span(summary.seconds)}, p50 {took(summary.p50)}, "
        f"p95 {took(summary.p95)}, p99 {took(summary.p99)}, max {took(summary.largest)}"
    )
    servers = clean_line(", ".join(summary.servers), 100) or "no server"
    return (
        "; ".join(part for part in (judged, reason, by_hand) if part) or "no threshold was set",
        figures,
        f"{servers}; profile {clean_line(summary.profile, 40)}; {moment(summary.at)}",
    )
