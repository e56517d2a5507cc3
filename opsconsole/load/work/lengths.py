"""Lengths as they are written, ``10``, ``20..200``, ``~70``, ``~70/0.5``, and drawn from."""

from __future__ import annotations

import math
import re
from random import Random

from opsconsole.load.plan import Lengths

MOST = 100_000
"""Longest text in tokens, and most documents of a request."""
SIGMA = 0.5
"""Of a lognormal that says none: the lengths of web passages spread about so much."""
FORMS = "`10`, `20..200` or `~70/0.5`"

_NUMBER = r"(\d+(?:\.\d+)?)"
_FIXED = re.compile(_NUMBER, re.ASCII)
_UNIFORM = re.compile(rf"{_NUMBER}\s*\.\.\s*{_NUMBER}", re.ASCII)
_LOGNORMAL = re.compile(rf"~\s*{_NUMBER}(?:\s*/\s*{_NUMBER})?", re.ASCII)
_CALLED = re.compile(rf"lognormal\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)", re.ASCII)


def parse_lengths(text: str) -> Lengths:
    """Lengths from ``10`` (all the same), ``20..200`` (uniform, both ends included), ``~70``
    (lognormal around a median) or ``~70/0.5`` (with its sigma; as
    profiles write it, ``lognormal(70, 0.5)``).

    Raises:
        ValueError: it says why, for the operator.
    """
    text = text.strip()
    if found := _FIXED.fullmatch(text):
        lengths = Lengths("fixed", _number(found[1]))
    elif found := _UNIFORM.fullmatch(text):
        lengths = Lengths("uniform", _number(found[1]), _number(found[2]))
    elif found := _LOGNORMAL.fullmatch(text) or _CALLED.fullmatch(text):
        sigma = SIGMA if found[2] is None else _number(found[2])
        lengths = Lengths("lognormal", _number(found[1]), sigma)
    else:
        raise ValueError(f"expected {FORMS}, got {text[:40]!r}")
    problem = problem_of(lengths)
    if problem:
        raise ValueError(problem)
    return lengths


def lengths_text(lengths: Lengths) -> str:
    """How :func:`parse_lengths` reads them."""
    first, second = f"{lengths.first:.12g}", f"{lengths.second:.12g}"
    if lengths.kind == "fixed":
        return first
    return f"{first}..{second}" if lengths.kind == "uniform" else f"~{first}/{second}"


def problem_of(lengths: Lengths) -> str:
    """Why nothing can be drawn from them; empty when it can."""
    first, second = float(lengths.first), float(lengths.second)
    if not (math.isfinite(first) and math.isfinite(second)):
        return "a length is not a finite number"
    if first < 1:
        return f"a length is at least 1, not {first:g}"
    if max(first, second) > MOST:
        return f"a length is at most {MOST}, not {max(first, second):g}"
    if lengths.kind == "lognormal":
        return "" if 0 <= second <= 3 else f"a sigma is between 0 and 3, not {second:g}"
    if not first.is_integer() or (lengths.kind == "uniform" and not second.is_integer()):
        return "a length is a whole number"
    if lengths.kind == "uniform" and second < first:
        return f"{first:g}..{second:g} ends before it begins"
    return ""


def draw(lengths: Lengths, random: Random) -> int:
    """One length, 1 to :data:`MOST`."""
    if lengths.kind == "fixed":
        return int(lengths.first)
    if lengths.kind == "uniform":
        return random.randint(int(lengths.first), int(lengths.second))
    drawn = lengths.first * math.exp(lengths.second * random.gauss(0.0, 1.0))
    return min(max(round(drawn), 1), MOST)


def _number(text: str) -> float:
    return float(text)
