"""A tuning in text: its trials, the frontier, and what it recommends or judges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import wrap

from opsconsole import figures
from opsconsole.load.summary import per_second, took
from opsconsole.text import clean_line
from opsconsole.tuning.evidence import METRICS
from opsconsole.tuning.lines import as_lines
from opsconsole.tuning.records import Change, Evidence, Figures, Report, Settings, Step, Trial
from opsconsole.tuning.space import BATCH, CACHE, DTYPE, PARALLEL, QUEUE

_SHORT = {DTYPE: "dtype", BATCH: "batch", PARALLEL: "parallel", CACHE: "cache", QUEUE: "queue"}
_NAMES = {"rate": "good requests/s", "p50": "p50", "p95": "p95"}
_HEIGHT = 8

HEADINGS = ("#", "round", "load", "good/s", "p50", "p95", "failed", "settings")
LEFT = frozenset({7})
"""Columns that are aligned to the left."""


def words(settings: Settings) -> str:
    """Settings in few words: ``batch=64 dtype=int8``; ``as it was`` without any."""
    return " ".join(f"{_SHORT[n]}={v}" for n, v in settings.items()) or "as it was"


def cells(trial: Trial) -> tuple[str, ...]:
    """A trial's row under :data:`HEADINGS`."""
    found = trial.figures
    dash = figures.DASH
    if found is None:
        reason = clean_line(f"{trial.state}: {trial.reason}", 300)
        told = (dash, dash, dash, dash, dash, f"{words(trial.settings)}  {reason}")
    else:
        told = (
            f"{found.seconds:.0f}s", per_second(found.rate), took(found.p50), took(found.p95),
            f"{found.failed:,}", words(trial.settings),
        )  # fmt: skip
    return (str(trial.number), str(trial.round) if trial.round else "turns", *told)


def line(trial: Trial, width: int) -> str:
    """A trial in one line, for a log."""
    number, round_, load, rate, _p50, p95, failed, settings = cells(trial)
    where = f"round {round_}" if trial.round else round_
    if trial.figures is None:
        return clean_line(f"{number:>3}  {where:<7}  {settings}", width)
    told = f"{rate:>6}/s  p95 {p95:<6}  {failed} failed"
    return clean_line(f"{number:>3}  {where:<7}  {load:>3}  {told}  {settings}", width)


def text(report: Report, *, width: int = 80, unicode: bool = True) -> str:
    """The whole report."""
    width = max(40, width)
    parts = [_head(report, width)]
    shown = [trial for trial in report.trials if trial.round]
    if shown:
        parts.append(_table(shown, set(report.frontier), width))
        chart = scatter(shown, report.frontier, min(width, 76))
        if chart:
            parts.append("\n".join(chart))
    else:
        failed = [trial for trial in report.trials if trial.figures is None]
        parts += ["\n".join(line(trial, width) for trial in failed)] if failed else []
    if report.step is not None:
        parts.append(_step(report.step, width))
    if report.recommendation is not None:
        parts.append(recommendation(report, width))
    if report.notes:
        parts.append("\n".join(_wrapped(f"- {note}", width, "  ") for note in report.notes))
    ended = f"after {figures.ago(report.seconds)}: {report.server} is {report.restored}"
    stopped = f"STOPPED: {clean_line(report.stopped, 200)}\n" if report.stopped else ""
    parts.append(_wrapped(stopped, width, "") + ("\n" if stopped else "") + ended)
    whole = "\n\n".join(parts) + "\n"
    return whole if unicode else plain(whole)


def plain(shown: str) -> str:
    """The same in ASCII."""
    pairs = {"—": "-", "·": ".", "◆": "*", "○": "o", "●": "ok", "×": "x", "→": "->", "…": "...",
             "∞": "oo", "µ": "u", "│": "|", "└": "+", "─": "-", "–": "-"}  # fmt: skip
    return "".join(pairs.get(letter, letter) for letter in shown)


def _head(report: Report, width: int) -> str:
    limit = f" that keeps p95 <= {took(report.limit)}" if report.limit is not None else ""
    goal = "the lowest p95" if report.goal == "latency" else f"the highest throughput{limit}"
    if report.step is not None:
        goal = f"{report.step.name}: {as_lines(report.step.settings)}"
    lines = [f"{report.server} of {report.profile}: {goal}", f"load: {report.load}"]
    if report.was:
        lines.append("as it was: " + words(report.was))
    return "\n".join(_wrapped(each, width, "  ") for each in lines)


def _table(trials: Sequence[Trial], frontier: set[int], width: int) -> str:
    rows: list[tuple[str, ...]] = [("", *HEADINGS)]
    rows += [("◆" if trial.number in frontier else "", *cells(trial)) for trial in trials]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        parts = [f"{cell:>{w}}" for cell, w in zip(row[:-1], widths, strict=True)]
        head = "  ".join(parts) + "  "
        lines.append(_wrapped(head + row[-1], width, " " * len(head)))
    return "\n".join(lines)


def scatter(trials: Sequence[Trial], frontier: Sequence[int], width: int) -> list[str]:
    """Throughput (across) against p95 (up) of each set's longest trial: ``◆`` the frontier, ``○``
    as it was, ``·`` the others. Empty where there are not two different points."""
    found = {words(t.settings): t for t in trials if t.figures is not None and _finite(t.figures)}
    points = [
        (t.figures.rate, t.figures.p95, t)
        for t in found.values()
        if t.figures is not None and t.figures.p95 is not None
    ]
    rates, p95s = [x for x, _, _ in points], [y for _, y, _ in points]
    if len(points) < 2 or max(rates) == min(rates) or max(p95s) == min(p95s):
        return []
    margin = max(len(took(max(p95s))), len(took(min(p95s)))) + 1
    columns = width - margin - 2
    grid = [[" "] * columns for _ in range(_HEIGHT)]
    for rate, p95, trial in sorted(points, key=lambda point: point[2].number in frontier):
        x = round((rate - min(rates)) / (max(rates) - min(rates)) * (columns - 1))
        y = round((max(p95s) - p95) / (max(p95s) - min(p95s)) * (_HEIGHT - 1))
        mark = "◆" if trial.number in frontier else "·"
        grid[y][x] = mark if trial.settings else "○"
    ends = {0: took(max(p95s)), _HEIGHT - 1: took(min(p95s))}
    lines = ["p95 against rate: ◆ best of the last round, ○ as it was"]
    lines += [f"{ends.get(y, ''):>{margin}}│{''.join(row)}".rstrip() for y, row in enumerate(grid)]
    first, last = f"{per_second(min(rates))}/s", f"{per_second(max(rates))}/s"
    lines.append(f"{'':>{margin}}└{'─' * columns}")
    lines.append(f"{'':>{margin}} {first}{last:>{max(1, columns - len(first))}}")
    return lines


def _finite(found: Figures) -> bool:
    return found.p95 is not None and math.isfinite(found.p95)


def recommendation(report: Report, width: int = 80) -> str:
    """What to put into the profile, with the evidence."""
    found = report.recommendation
    if found is None:
        return ""
    if found.settings:
        head = f"RECOMMENDED: {report.lines}\n  {found.why}"
    else:
        head = f"KEEP WHAT YOU HAVE: {found.why}"
    parts = [_wrapped(each, width, "  ") for each in head.split("\n")]
    if found.evidence is not None:
        if not found.settings:
            parts.append(f"tried against it: {words(found.evidence.settings)}")
        parts += ["", *evidence_lines(found.evidence, width)]
    if missed := _missed(report):
        parts.append(_wrapped(missed, width, "  "))
    if report.yaml:
        parts += ["", "in the profile, among the daemon's:", *report.yaml.splitlines()]
    return "\n".join(parts)


def _missed(report: Report) -> str:
    """That no trial kept the limit; empty where one did, or there is none."""
    p95s = [t.figures.p95 for t in report.trials if t.figures is not None]
    known = [p95 for p95 in p95s if p95 is not None]
    if report.limit is None or not known or min(known) <= report.limit:
        return ""
    return (
        f"none of the trials kept p95 <= {took(report.limit)}: the lowest was {took(min(known))}; "
        "fewer clients (-c) ask for less"
    )


def evidence_lines(evidence: Evidence, width: int = 80) -> list[str]:
    """Before and after, with the interval of each change."""
    lines = [f"{'':<18}{'before':>10}{'after':>10}   {'change':<9}95 % interval"]
    for metric in METRICS:
        change = evidence.of(metric)
        show = per_second if metric == "rate" else took
        lines.append(
            f"{_NAMES[metric]:<18}{show(change.before):>10}{show(change.after):>10}   "
            + _interval(change)
        )
    old, new = evidence.before, evidence.after
    lines.append(f"{'requests':<18}{old.requests:>10,}{new.requests:>10,}")
    lines.append(f"{'failed':<18}{old.failed:>10,}{new.failed:>10,}")
    if old.rejected or new.rejected:
        lines.append(f"{'rejected':<18}{old.rejected:>10,}{new.rejected:>10,}")
    if old.memory and new.memory:
        lines.append(
            f"{'memory, at most':<18}{figures.size(old.memory):>10}{figures.size(new.memory):>10}"
        )
    return [*lines, _wrapped(evidence.test, width, "")]


def _interval(change: Change) -> str:
    if change.change is None or change.low is None or change.high is None:
        return "cannot be said"
    return f"{_more(change.change):<9}{_more(change.low)} to {_more(change.high)}"


def _more(share: float) -> str:
    """A change: ``+4.1%``, ``-30%``; ``×12`` from tenfold on."""
    if share >= 9.995:
        return f"×{share + 1:,.0f}"
    return f"{max(share, -0.999) if share > -1 else share:+.1%}"


def _step(step: Step, width: int) -> str:
    marks = {True: "● passed", False: "× not passed", None: "— unknown"}
    word = {True: "PASSED", False: "NOT PASSED", None: "UNKNOWN"}[step.passed]
    lines = [f"{word}: {step.name}, {as_lines(step.settings)}"]
    for each in step.conditions:
        lines.append(f"  {marks[each.passed]}  {each.name} ({each.expected})")
        lines.append(_wrapped(f"      {clean_line(each.observed, 300)}", width, "      "))
    if step.evidence is not None:
        lines += ["", *evidence_lines(step.evidence, width)]
    return "\n".join(lines)


def _wrapped(words_: str, width: int, indent: str) -> str:
    return "\n".join(
        wrap(words_, width, subsequent_indent=indent, break_long_words=False, drop_whitespace=True,
             replace_whitespace=False, break_on_hyphens=False)
    ) if len(words_) > width else words_  # fmt: skip
