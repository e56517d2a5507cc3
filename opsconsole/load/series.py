"""A run's ticks as series over time, and its latencies as a distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from opsconsole.load.histogram import Histogram, lower_of
from opsconsole.load.live_moments import Moment, moment_of
from opsconsole.load.records import Run
from opsconsole.load.thinning import thin

OTHERS = "others"


class Stretch(NamedTuple):
    """A phase on the time axis, seconds."""

    name: str
    measured: bool
    begin: float
    end: float


class Bin(NamedTuple):
    """Part of a distribution: from ``low`` to ``high`` seconds. The ``number`` of its values need
    not be whole: a bucket that lies in two bins is split by width."""

    low: float
    high: float
    number: float


def points(run: Run, most: int = 400) -> list[Moment]:
    """The run over time in at most about ``most`` points; ticks are merged where there are more."""
    return [moment_of(tick) for tick in thin(run.ticks, most) if tick.seconds > 0]


def stretches(run: Run) -> list[Stretch]:
    """Where the phases lie in time; what has no tick is left out."""
    found: list[Stretch] = []
    last = -1
    for tick in run.ticks:
        end = tick.at + tick.seconds
        if tick.phase == last:
            found[-1] = found[-1]._replace(end=end)
        elif 0 <= tick.phase < len(run.phases):
            phase = run.phases[tick.phase].phase
            found.append(Stretch(phase.name, phase.measured, tick.at, end))
            last = tick.phase
    return found


def commonest(kinds: Iterable[dict[str, float]], most: int) -> list[str]:
    """The ``most`` kinds with the greatest sum, greatest first."""
    sums: dict[str, float] = {}
    for counts in kinds:
        for kind, count in counts.items():
            sums[kind] = sums.get(kind, 0) + count
    return sorted(sums, key=lambda kind: (-sums[kind], kind))[:most]


def bins(histogram: Histogram, count: int) -> list[Bin]:
    """The distribution in ``count`` bins of equal width on a log axis; empty without values."""
    if not histogram.total:
        return []
    low = max(histogram.least, 1)
    high = max(histogram.largest + 1, low * 1.02)
    step = math.log(high / low) / count
    edges = [low * math.exp(step * i) for i in range(count + 1)]
    counts = [0.0] * count
    for key, number in histogram.counts.items():
        begin = min(max(lower_of(key), low), high)
        end = min(max(lower_of(key + 1), low), high)
        first = min(count - 1, max(0, int(math.log(begin / low) / step)))
        if end <= begin:
            counts[first] += number
            continue
        at, place = first, begin
        while place < end:
            stop = end if at == count - 1 else min(end, max(edges[at + 1], place))
            counts[at] += number * (stop - place) / (end - begin)
            if at == count - 1:
                break
            place, at = stop, at + 1
    return [Bin(edges[i] / 1e9, edges[i + 1] / 1e9, counts[i]) for i in range(count)]
