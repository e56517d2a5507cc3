"""The lines over a run: what is run on whom, how far it is, and what must be known at once."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.text import Text

from opsconsole.load.compare import Change, Comparison
from opsconsole.load.live_progress import Progress
from opsconsole.load.plan import Lengths, Phase, Plan
from opsconsole.load.summary import (
    by_hand,
    law,
    moment,
    per_second,
    sentence,
    span,
    too_few,
    verdict,
)
from opsconsole.text import clean_line
from opsconsole.tui.widgets.load_ink import Cell, Ink, line

if TYPE_CHECKING:
    from opsconsole.tui.load_desk import Session

_MOST_REASONS = 3


def work_words(plan: Plan) -> str:
    """What is sent: ``100 documents × ~70 tokens``."""
    work = plan.work
    if work.replay:
        return f"bodies of {clean_line(work.replay, 40)}"
    if work.dialect == "http":
        return clean_line(f"{work.method} {work.path or '/'}", 50)
    count = _lengths(work.documents)
    noun = "document" if count == "1" else "documents"
    return f"{count} {noun} × {_lengths(work.document_tokens)} tokens"


def _lengths(lengths: Lengths) -> str:
    first = f"{lengths.first:g}"
    if lengths.kind == "fixed":
        return first
    return f"{first}–{lengths.second:g}" if lengths.kind == "uniform" else f"~{first}"


def law_words(session: Session, phase: Phase | None) -> str:
    """How the phase under way sends; what was changed by hand is said."""
    if phase is None:
        return clean_line(session.plan.mode, 20)
    how = "open loop" if phase.is_open else "closed loop"
    words = f"{how} · {law(phase)}"
    if session.rate is not None:
        words += f", now {per_second(session.rate)}/s by hand"
    if session.concurrency is not None:
        words += f", now {session.concurrency:,} clients by hand"
    return words


def head(ink: Ink, session: Session, width: int) -> Text:
    """Name, law, work, servers. In a narrow terminal the work goes first, then the law."""
    name = clean_line(session.plan.name, 40)
    names = [clean_line(server, 30) for server in session.servers]
    servers = ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} +{len(names) - 2}"
    to = ink.plain(f"→ {servers}") if servers else ""
    # The run's plan is the one without secrets.
    law_, work = law_words(session, session.live.phase), work_words(session.run.plan)
    for middle in (f"{law_} · {work}", law_, ""):
        words = ink.plain("  ".join(part for part in (middle, to) if part))
        if len(name) + 2 + len(words) <= width:
            break
    return line([Cell(name, ink.bright), Cell(f"  {words}", ink.dim)], width)


def progress(ink: Ink, session: Session, width: int) -> Text:
    """A bar, how much of how much, and the state in a word."""
    how = session.live.progress
    mark, word, style = _state(ink, session)
    tail = f"{mark} {word}"
    parts = _place(how, session)
    while len(parts) > 1 and len("  ".join(parts)) + len(tail) + 2 > width:
        parts.pop()
    words = "  ".join(parts)
    room = width - len(words) - len(tail) - 4
    cells = []
    if room >= 8:
        share = how.share
        if session.state == "ended" and not session.run.stopped:
            share = 1.0
        full = round((share or 0.0) * room)
        filled, rest = ("=", "-") if ink.symbols.plain else ("━", "━")
        cells = [Cell(filled * full, ink.accent), Cell(rest * (room - full), ink.rule), Cell("  ")]
    cells += [Cell(words), Cell("  "), Cell(tail, style)]
    return line(cells, width)


def _place(how: Progress, session: Session) -> list[str]:
    """How much of how much, and the phase."""
    if how.total is None:
        amount = span(how.done) if how.number else ""
    elif how.unit == "s":
        amount = f"{span(float(int(how.done)))} of {span(how.total)}"
    else:
        amount = f"{how.done:,.0f} of {how.total:,.0f} requests"
    if session.state == "ended":
        amount = span(session.live.seconds)
    parts = [amount] if amount else []
    if how.phase is not None and session.state != "ended":
        name = clean_line(how.phase.name, 24)
        if not how.phase.measured and "warm" not in name:
            name += " (warm-up)"
        if session.live.climbs:
            kind = "step" if session.plan.search is None else "probe"
            parts.append(f"{kind} {name}" if how.phase.measured else name)
        elif how.of > 1:
            parts.append(f"{name}, phase {how.number} of {how.of}")
        elif not how.phase.measured:
            parts.append(name)
    return parts


def _state(ink: Ink, session: Session) -> tuple[str, str, str]:
    symbols = ink.symbols
    match session.state:
        case "starting":
            return symbols.half, "starting", ink.accent
        case "running":
            warm = session.live.phase is not None and not session.live.phase.measured
            return symbols.up, "warm-up" if warm else "running", ink.dim if warm else ink.good
        case "paused":
            return symbols.half, "paused", ink.warn
        case "stopping":
            return symbols.half, "stopping", ink.warn
        case "failed":
            return symbols.down, "failed", ink.bad
        case _:
            return symbols.off, "ended", ink.dim


def notices(ink: Ink, session: Session, width: int, most: int) -> list[Text]:
    """What must be known at once, in at most ``most`` lines: the verdict with its reasons, why the
    run would be invalid, what a state means."""
    found: list[Text] = []

    def say(mark: str, words: str, style: str) -> None:
        lines = wrap(ink.plain(clean_line(words, 600)), max(20, width - 2)) or [""]
        for number, words_ in enumerate(lines):
            lead = f"{mark} " if not number else "  "
            found.append(line([Cell(lead, style), Cell(words_, style)], width))

    symbols = ink.symbols
    match session.state:
        case "starting":
            say(symbols.half, "the generator is built and warmed before anything is sent", ink.dim)
        case "paused":
            say(symbols.half, "paused: nothing is sent, and the schedule stands still", ink.warn)
        case "stopping":
            flying = session.live.now.client.in_flight
            left = f"{flying:,} in flight end" if flying else "what is in flight ends"
            say(symbols.half, f"stopping: nothing more is sent, {left}", ink.warn)
        case "failed":
            say(symbols.down, session.error or "failed", ink.bad)
        case "ended":
            _verdict(ink, session, say)
    if session.under_way and (why := session.live.warnings):
        more = f" (+{len(why) - 1} more)" if len(why) > 1 else ""
        say(symbols.warn, f"INVALID as it stands: {why[0]}{more}", ink.bad)
    if len(found) > most:
        found = found[:most]
        if most:
            cut = found[-1]
            cut.truncate(max(0, width - 2))
            cut.append(" ~" if symbols.plain else " …", ink.dim)
    return found


def _verdict(ink: Ink, session: Session, say: Callable[[str, str, str], None]) -> None:
    run, symbols = session.run, ink.symbols
    mark, style = {
        "passed": (symbols.up, ink.good),
        "failed": (symbols.down, ink.bad),
        "invalid": (symbols.warn, ink.warn),
        "stopped": (symbols.warn, ink.warn),
        "measured": (symbols.up, ink.bright),
    }[verdict(run)]
    words = sentence(run)
    if run.invalid:
        words = f"INVALID, says nothing about the servers: {'; '.join(run.invalid[:_MOST_REASONS])}"
    elif run.stopped:
        words = (
            f"{words}: {run.stopped}" if "STOPPED" in words else f"{words}, stopped: {run.stopped}"
        )
    say(mark, words, style)
    few = [f"{each.threshold} {too_few(each)}" for each in run.judgements if each.maximum_of]
    if few and not run.invalid:
        say(symbols.warn, "; ".join(few), ink.warn)
    if run.conclusion is not None:
        say(" ", run.conclusion.text, ink.bright)
    if session.comparison is not None:
        mark, words, style = comparison_words(ink, session.comparison)
        base = session.compared_with
        since = f"baseline {moment(base.at)[:10]}: " if base is not None else "baseline: "
        say(mark, since + words, style)
    elif session.not_compared:
        say(" ", f"not compared: {session.not_compared}", ink.dim)
    if run.interventions:
        say(" ", f"changed by hand: {by_hand(run)}", ink.dim)
    if session.saved.startswith("not stored"):
        say(symbols.warn, session.saved, ink.bad)


def comparison_words(ink: Ink, comparison: Comparison) -> tuple[str, str, str]:
    """What became of the metrics, those that differ first: mark, words, style."""
    known = [change for change in comparison.changes if change.change is not None]
    different = [change for change in known if change.verdict != "no difference"]
    if not different:
        shown = [change for change in known if change.metric == "p95"] or known[:1]
        parts = [_changed(change) for change in shown]
        return "=", ", ".join([*parts, "no difference"]), ink.dim
    worse = any(change.verdict == "worse" for change in different)
    words = ", ".join(f"{_changed(change)} {change.verdict}" for change in different)
    return (
        ink.symbols.down if worse else ink.symbols.up,
        words,
        ink.bad if worse else ink.good,
    )


def _changed(change: Change) -> str:
    return f"{change.metric} {change.change:+.1%}"
