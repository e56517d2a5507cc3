"""Lengths, checked and drawn from."""

from __future__ import annotations

import math
from random import Random

from opsconsole.load.plan import Lengths
from opsconsole.load_words import MOST_LENGTH


def problem_of(lengths: Lengths) -> str:
    """Why nothing can be drawn from them; empty when it can."""
    first, second = float(lengths.first), float(lengths.second)
    if not (math.isfinite(first) and math.isfinite(second)):
        return "a length is not a finite number"
    if first < 1:
        return f"a length is at least 1, not {first:g}"
    if max(first, second) > MOST_LENGTH:
        return f"a length is at most {MOST_LENGTH}, not {max(first, second):g}"
    if lengths.kind == "lognormal":
        return "" if 0 <= second <= 3 else f"a sigma is between 0 and 3, not {second:g}"
    if not first.is_integer() or (lengths.kind == "uniform" and not second.is_integer()):
        return "a length is a whole number"
    if lengths.kind == "uniform" and second < first:
        return f"{first:g}..{second:g} ends before it begins"
    return ""


def draw(lengths: Lengths, random: Random) -> int:
    """One length, 1 to :data:`MOST_LENGTH`."""
    if lengths.kind == "fixed":
        return int(lengths.first)
    if lengths.kind == "uniform":
        return random.randint(int(lengths.first), int(lengths.second))
    drawn = lengths.first * math.exp(lengths.second * random.gauss(0.0, 1.0))
    return min(max(round(drawn), 1), MOST_LENGTH)
