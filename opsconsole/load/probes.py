"""The probes of a search or a stress test: what each of them says, and where things stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from opsconsole.load.judge import judge, show
from opsconsole.load.records import PhaseResult
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import Threshold

SEEN_TWICE = 2
"""What is seen once may be chance: a break, or a generator that could not keep up."""
_GROWTH = 0.05


class Probe(NamedTuple):
    """One try. ``level``: rate a second, or clients. ``why`` says what broke; ``limited`` why the
    generator, not the server, set the limit: such a probe says nothing of the server. ``phase`` is
    its number within the run; ``answered``: whether there was one good answer."""

    level: float
    held: bool
    why: str
    limited: str
    phase: int = 0
    answered: bool = True


def probe_of(
    level: float, results: Sequence[PhaseResult], thresholds: Sequence[Threshold], phase: int
) -> Probe:
    """What the last of ``results`` says of ``level``; the one before it is its warm-up."""
    result = results[-1]
    client, totals = result.client, result.all()
    why = [
        f"{judgement.threshold} broken by {show(judgement.metric, judgement.observed)}"
        for judgement in judge(result, thresholds)
        if not judgement.passed and (judgement.observed is not None or totals.ended)
    ]
    if client.dropped:
        # Beyond its limit a server is overrun: what was not sent for it is its failure.
        why.append(f"{client.dropped:,} of {client.due:,} dropped, too many were in flight")
        client = msgspec.structs.replace(client, due=client.due - client.dropped, dropped=0)
    cut = _is_cut(result)
    if cut:
        why.append(f"stopped after {result.seconds:.1f} s: in flight grew without end")
    elif grows := growth(results):
        why.append(f"in flight grew by {grows:.3g} a second without end")
    if why and totals.errors:
        kind = max(totals.errors, key=totals.errors.__getitem__)
        why.append(f"{totals.errors[kind]:,} × {kind}")
    own = msgspec.structs.replace(result, client=client)
    limited = "" if cut else "; ".join(reasons(own, thresholds))
    if not why and not totals.ended:
        why.append("nothing was measured")
    held = not why and not limited
    return Probe(level, held, "; ".join(why), limited, phase, answered=totals.good > 0)


def standing(probes: Sequence[Probe]) -> tuple[float | None, float | None]:
    """The highest level that held below the lowest that broke, and that one. Of several probes at
    one level the majority counts; as many of either kind are a break. A probe that the generator
    limited has no vote."""
    votes: dict[float, int] = {}
    for probe in probes:
        if not probe.limited:
            votes[probe.level] = votes.get(probe.level, 0) + (1 if probe.held else -1)
    high = min((level for level, vote in votes.items() if vote <= 0), default=None)
    held = (level for level, vote in votes.items() if vote > 0 and (high is None or level < high))
    return max(held, default=None), high


def wall(probes: Sequence[Probe]) -> float | None:
    """The lowest level that the generator cannot do: seen twice there, while nothing ran freely
    there or higher. None when it is not the limit: a machine may be busy for a moment."""
    free = max((probe.level for probe in probes if not probe.limited), default=0.0)
    above = [probe.level for probe in probes if probe.limited and probe.level > free]
    return min((level for level in above if above.count(level) >= SEEN_TWICE), default=None)


def growth(results: Sequence[PhaseResult]) -> float:
    """By how many requests a second the number in flight rose from a probe's warm-up through the
    probe; 0 when it did not, or not beyond chance.

    By Little's law a phase's mean number in flight is its rate times its mean response time.
    """
    if len(results) < 2 or not (results[-1].phase.rate and results[-2].phase.rate):
        return 0.0
    before, after = (result.all().response.mean for result in results[-2:])
    rate = results[-1].phase.rate
    apart = (results[-2].seconds + results[-1].seconds) / 2
    if before is None or after is None or rate is None or apart <= 0:
        return 0.0
    rise = rate * (after - before)
    chance = 5 + 2 * math.sqrt(rate * apart)
    return rise / apart if rise > chance and rise / apart > _GROWTH * rate else 0.0


def _is_cut(result: PhaseResult) -> bool:
    """Whether a probe was stopped before its time."""
    phase = result.phase
    return (
        phase.is_open
        and phase.requests is None
        and phase.duration is not None
        and result.seconds < 0.95 * phase.duration
    )
