"""What a chart is given to draw: series, levels, a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["", "good", "warn", "bad", "accent", "dim"]
_HUGE = 1e300


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: What the legend calls it.
        times: Unix seconds, ascending.
        values: One for each time; None, NaN and what no axis can hold are gaps.
        role: What its colour means; by default it is told apart by its place.
        area: Fill it down to zero.
    """

    name: str
    times: Sequence[float]
    values: Sequence[float | None]
    role: Role = ""
    area: bool = False
    last: float | None = field(init=False, default=None)
    """The newest value."""

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values):
            raise ValueError(f"{len(self.times)} times for {len(self.values)} values")
        finite = [v if v is not None and abs(v) < _HUGE else None for v in self.values]
        object.__setattr__(self, "values", finite)
        object.__setattr__(self, "last", finite[-1] if finite else None)


@dataclass(frozen=True)
class Threshold:
    """A level to stay under or over, such as a service level."""

    value: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A moment that parts what is before it from the rest.

    Args:
        at: When, as :attr:`Series.times`.
        before: What is before it, such as ``warm-up``; stands on the time axis.
    """

    at: float
    before: str
