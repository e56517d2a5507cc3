"""A plan in words: what is sent, to whom, and what is expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from opsconsole.load.judge import default_thresholds
from opsconsole.load.length import longest
from opsconsole.load.plan import Lengths, Mode, Phase, Plan
from opsconsole.load.secrecy import masked
from opsconsole.load.summary import law, planned_rate, planned_rates, span
from opsconsole.profile import Server
from opsconsole.profile.units import format_duration, format_ratio
from opsconsole.text import clean_line

KINDS: dict[Mode, str] = {
    "load": "a few clients",
    "throughput": "flat out",
    "stress": "until it breaks",
    "latency": "one at a time",
    "soak": "for a long time",
    "ramp": "more and more",
    "spike": "a sudden crowd",
    "rate": "at a fixed rate",
    "search": "the highest rate",
    "replay": "recorded requests",
}
"""What each mode does, in few words."""


class Words(NamedTuple):
    """Three sentences about a plan; clean."""

    sends: str
    to: str
    expects: str


def in_words(plan: Plan, servers: Sequence[Server]) -> Words:
    """What would happen if ``plan`` were started on ``servers``; without its secrets."""
    plan = masked(plan)
    return Words(_sends(plan), _to(plan, servers), _expects(plan, servers))


def _sends(plan: Plan) -> str:
    warm = [phase for phase in plan.phases if not phase.measured]
    parts = [_course(plan)]
    if warm:
        first = warm[0]
        what = f"{first.requests:,}" if first.requests else span(first.duration or 0)
        parts.append(f"{what} to warm up")
    whole = longest(plan)
    in_parts = sum(phase.measured for phase in plan.phases) > 1
    if whole is not None and (in_parts or plan.phases[-1].arrivals == "recorded"):
        parts.append(f"{span(whole)} in all")
    return "; ".join(parts)


def _course(plan: Plan) -> str:
    measured = [phase for phase in plan.phases if phase.measured]
    if plan.search is not None:
        probe = plan.search
        return (
            f"{planned_rate(probe.start)}, doubled until it breaks, then halfway between; "
            f"{span(probe.duration)} each, and the answer {probe.confirm} times more"
        )
    if plan.steps is not None:
        step = plan.steps
        each = f"{step.requests:,} requests" if step.requests else span(step.duration or 0)
        return f"1, 2, 4 … {step.most:,} clients, {each} each, until a step breaks"
    if len(measured) == 1:
        return _phase(measured[0])
    if plan.mode == "ramp" and measured and len({phase.is_open for phase in measured}) == 1:
        seconds = sum(phase.duration or 0 for phase in measured)
        if not measured[0].is_open:
            first, last = measured[0].concurrency, measured[-1].concurrency
            return f"{first:,} → {last:,} clients within {span(seconds)}"
    shown = ", then ".join(law(phase) for phase in measured[:4])
    return shown + (f", and {len(measured) - 4} more" if len(measured) > 4 else "")


def _phase(phase: Phase) -> str:
    if phase.arrivals == "recorded":
        return "the recorded requests at their recorded times"
    end = []
    if phase.duration is not None:
        end.append(f"for {span(phase.duration)}")
    if phase.requests is not None:
        end.append(f"{'or ' if end else ''}for {phase.requests:,} requests")
    if phase.is_open:
        how = "at random" if phase.arrivals == "poisson" else "evenly"
        first, last = phase.rate or 0, phase.rate_end
        rate = planned_rate(first) if last is None else planned_rates(first, last, " → ")
        return f"{rate} {how} {' '.join(end)}, whatever the servers do"
    clients = phase.concurrency or 0
    think = f" and {format_duration(phase.think)}" if phase.think else ""
    if clients == 1:
        return f"1 client {' '.join(end)}, one request at a time{think}"
    return f"{clients:,} clients {' '.join(end)}, each waits for its answer{think}"


def _to(plan: Plan, servers: Sequence[Server]) -> str:
    names = [clean_line(server.name, 40) for server in servers]
    if len(servers) == 1:
        to = f"{names[0]}, {clean_line(servers[0].url, 60)}"
    else:
        to = f"{len(names)} in turn: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
    return f"{to}; {_work(plan)}"


def _work(plan: Plan) -> str:
    work = plan.work
    if work.replay:
        return f"the bodies in {clean_line(work.replay, 80)}"
    if work.dialect == "http":
        return clean_line(f"{work.method} {work.path}", 80)
    words = f"{_lengths(work.documents, 'document')} of {_lengths(work.document_tokens, 'word')}"
    if work.repeat:
        words += f", {format_ratio(work.repeat)} sent before"
    return words if work.dialect == "own" else f"{words}, as {work.dialect}"


def _lengths(lengths: Lengths, what: str) -> str:
    first = f"{lengths.first:g}"
    if lengths.kind == "uniform":
        return f"{first} to {lengths.second:g} {what}s"
    if lengths.kind == "lognormal":
        return f"about {first} {what}s"
    return f"{first} {what}{'' if lengths.first == 1 else 's'}"


def _expects(plan: Plan, servers: Sequence[Server]) -> str:
    if plan.thresholds:
        words = ", ".join(plan.thresholds)
    else:
        promised = ", ".join(threshold.text for threshold in default_thresholds(servers))
        words = f"{promised} (service level)" if promised else "nothing: it only measures"
    if plan.aborts:
        stops = ", ".join(abort.threshold for abort in plan.aborts)
        words += f"; stops early when this breaks: {stops}"
    return clean_line(words, 300)
