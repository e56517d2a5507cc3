"""How the time is spent: rounds of successive halving, then repetitions for the confirmation.

Successive halving (Karnin, Koren and Somekh 2013; Jamieson and Talwalkar 2016): all candidates get
a short run, the better half of them one of twice the length, and so on, so that most of the time
goes to those that deserve it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

SHORTEST = 3.0
"""Seconds of load of the first round: fewer say nothing of a p95."""
LONGEST = 30.0
FEWEST_REPETITIONS = 3
_MOST_REPETITIONS = 6
_MOST_ROUNDS = 4
_CONFIRMING = 0.4
"""Share of the time for the confirmation."""


class Round(NamedTuple):
    """So many candidates, each loaded for ``seconds``."""

    candidates: int
    seconds: float


class Ladder(NamedTuple):
    """The rounds, then ``repetitions`` pairs of runs of ``seconds`` each."""

    rounds: tuple[Round, ...]
    repetitions: int
    seconds: float

    def cost(self, overhead: float) -> float:
        """Seconds that all of it takes, with ``overhead`` seconds a run for its start."""
        return _cost(self.rounds, overhead) + 2 * self.repetitions * (overhead + self.seconds)


def plan_ladder(time: float, overhead: float, most: int) -> Ladder | None:
    """The ladder that makes the best of ``time`` seconds; None when it is too short for any.

    Args:
        overhead: Seconds that a run takes beyond its load: stop, start, warm-up.
        most: Candidates that there are, what was there among them.

    Its cost is never more than ``time``.
    """
    for share in (_CONFIRMING, 0.6, 0.75):
        confirming = plan_confirmation(time * share, overhead)
        if confirming is None:
            continue
        repetitions, seconds = confirming
        left = time - 2 * repetitions * (overhead + seconds)
        rounds = _rounds(left, overhead, most)
        if rounds:
            return Ladder(rounds, repetitions, seconds)
    return None


def plan_confirmation(time: float, overhead: float) -> tuple[int, float] | None:
    """Pairs of runs and the seconds of each that fit; None when too few would.

    More repetitions before longer ones: it is from one start to the next that servers vary.
    """
    for repetitions in range(_MOST_REPETITIONS, FEWEST_REPETITIONS - 1, -1):
        seconds = time / (2 * repetitions) - overhead
        if seconds >= (SHORTEST if repetitions == FEWEST_REPETITIONS else 2 * SHORTEST):
            return repetitions, min(seconds, LONGEST)
    return None


def _rounds(time: float, overhead: float, most: int) -> tuple[Round, ...]:
    """As many rounds as leave the first one at least four candidates, and as many candidates."""
    if most < 2:
        return ()
    for number in range(min(_MOST_ROUNDS, max(1, int(math.log2(most)))), 0, -1):
        count = _most_candidates(time, overhead, number, most, SHORTEST)
        if count >= min(most, 2**number):
            first = _stretch(time, overhead, number, count)
            return _halving(count, number, first)
    return ()


def _most_candidates(time: float, overhead: float, rounds: int, most: int, first: float) -> int:
    """The most candidates whose rounds fit."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if _cost(_halving(middle, rounds, first), overhead) <= time:
            low = middle
        else:
            high = middle - 1
    return low


def _stretch(time: float, overhead: float, rounds: int, count: int) -> float:
    """Seconds of the first round when all candidates are in and time is left."""
    law = _halving(count, rounds, 1.0)
    starts = sum(each for each, _ in law) * overhead
    loads = sum(each * seconds for each, seconds in law)
    longest: float = LONGEST / 2 ** (rounds - 1)
    return max(SHORTEST, min((time - starts) / loads, longest))


def _halving(count: int, rounds: int, first: float) -> tuple[Round, ...]:
    found = []
    for number in range(rounds):
        found.append(Round(count, first * 2**number))
        count = max(2, math.ceil(count / 2))
    return tuple(found)


def _cost(rounds: tuple[Round, ...], overhead: float) -> float:
    return sum(count * (overhead + seconds) for count, seconds in rounds)
