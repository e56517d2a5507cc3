"""The probes of a search or a stress test: what each of them says, and where things stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from opsconsole import figures
from opsconsole.load.judge import judge
from opsconsole.load.measured import observed
from opsconsole.load.records import PhaseResult
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import METRICS, Threshold

SEEN_TWICE = 2
"""What is seen once may be chance: a break, or a generator that could not keep up."""
OVER = 0.95
"""Share of its time below which a probe was stopped before its end."""
_GROWTH = 0.05


class Probe(NamedTuple):
    """One try. ``level``: rate a second, or clients. ``why`` says what broke, ``brief`` the same in
    fewer words; ``limited`` why the generator, not the server, set the limit: such a probe says
    nothing of the server. ``phase`` is its number within the run; ``answered``: whether there was
    one good answer; ``short``: it ended before its answers came, which is why it is limited."""

    level: float
    held: bool
    why: str
    limited: str
    phase: int = 0
    answered: bool = True
    brief: str = ""
    short: bool = False


def probe_of(
    level: float,
    results: Sequence[PhaseResult],
    thresholds: Sequence[Threshold],
    phase: int = 0,
    *,
    running: bool = False,
) -> Probe:
    """What the last of ``results`` says of ``level``; the one before it is its warm-up.

    Args:
        running: It is not over: what there is of it so far.
    """
    result = results[-1]
    client, totals = result.client, result.all()
    cut = not running and _is_cut(result)
    short = "" if running or cut else _too_short(result)
    broken = [
        (
            f"{judgement.threshold} broken by {observed(judgement)}",
            f"{judgement.metric} {observed(judgement)}",
        )
        for judgement in judge(result, thresholds)
        if not judgement.passed
        and (judgement.observed is not None or totals.ended)
        # In the time of a probe without answers nothing was done: that is no rate.
        and not (short and METRICS[judgement.metric] == "rate")
    ]
    if client.dropped:
        # Beyond its limit a server is overrun: what was not sent for it is its failure.
        dropped = f"{client.dropped:,} of {client.due:,} dropped, too many were in flight"
        broken.append((dropped, dropped))
    if cut:
        why = f"stopped after {result.seconds:.1f} s: more piled up in flight than can be answered"
        broken.append((f"{why} in time", why))
    elif not running and (grows := growth(results)):
        why = f"in flight grew by {grows:.3g} a second"
        broken.append((f"{why} without end", why))
    if broken and totals.errors:
        kind = max(totals.errors, key=totals.errors.__getitem__)
        counted = f"{totals.errors[kind]:,} × {kind}"
        broken.append((counted, counted))
    short = "" if broken else short
    limited = "" if cut else "; ".join(([short] if short else []) + limits(result, thresholds))
    if not (client.due or totals.sent or totals.ended):
        limited = "" if running else "nothing fell due"
    elif not broken and not totals.ended:
        broken.append(("nothing was measured", "nothing was measured"))
    return Probe(
        level,
        held=not broken and not limited,
        why="; ".join(long for long, _ in broken),
        limited=limited,
        phase=phase,
        answered=totals.good > 0,
        brief="; ".join(brief for _, brief in broken),
        short=bool(short),
    )


def limits(result: PhaseResult, thresholds: Sequence[Threshold]) -> list[str]:
    """Why the generator, not the server, limits a probe. What is dropped there is the server's
    failure: beyond its limit it is overrun on purpose."""
    client = result.client
    if not (client.due or result.all().ended):
        return []
    own = msgspec.structs.replace(client, due=client.due - client.dropped, dropped=0)
    return reasons(msgspec.structs.replace(result, client=own), thresholds)


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


def _too_short(result: PhaseResult) -> str:
    """Why nothing can be said of a probe that was over before its answers came; empty where most
    came in its time."""
    median = result.all().response.percentile(50)
    if median is None or median <= result.seconds or not result.phase.is_open:
        return ""
    return (
        f"it lasted {figures.with_unit(result.seconds)}, and half of the answers took more than "
        f"{figures.with_unit(median)}: try a longer --duration"
    )


def _is_cut(result: PhaseResult) -> bool:
    """Whether a probe was stopped before its time."""
    phase = result.phase
    return (
        phase.is_open
        and phase.requests is None
        and phase.duration is not None
        and result.seconds < OVER * phase.duration
    )
