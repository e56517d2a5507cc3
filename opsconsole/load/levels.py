"""Service levels of a run: over the whole of it, and over every window that slides along it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from opsconsole.load.judge import judge_totals, judgement, maximum_of, measure
from opsconsole.load.records import Client, Judgement, PhaseResult, Tick
from opsconsole.load.validity import doubt
from opsconsole.load.windows import SLACK, Chain, Window
from opsconsole.profile.threshold import Threshold


class Levels:
    """Holds thresholds against a run, with memory for as many ticks as its longest window.

    Give it the ticks of measured phases as they come: those that are stored of a long run are
    merged, and a window over them would be longer than it says.
    """

    def __init__(self, thresholds: Iterable[Threshold]) -> None:
        self._thresholds = list(thresholds)
        self._windows: dict[tuple[float, str], Window] = {}
        self._sliding: dict[str, _Sliding] = {}
        self._chain = Chain()
        for threshold in self._thresholds:
            if threshold.window:
                key = threshold.window, threshold.server
                window = self._windows.setdefault(key, Window(*key))
                self._sliding[threshold.text] = _Sliding(threshold, window)

    def pass_by(self, tick: Tick) -> None:
        """The next tick, of a phase that is not measured."""
        self._chain = self._chain.after(tick)

    def take(self, tick: Tick) -> None:
        """The next tick of a measured phase."""
        for window in self._windows.values():
            window.add(tick)
        self._chain = self._chain.after(tick)
        for sliding in self._sliding.values():
            if sliding.window.full and not tick.is_pause:
                sliding.look(tick.client.in_flight, self._chain)

    def judge(self, whole: PhaseResult) -> list[Judgement]:
        """Each threshold in its order, against ``whole`` or against its worst window.

        In a run shorter than a window, what there is of it is the window. So it is for rates where
        no answer could come in a part of each window.
        """
        found = []
        judged = judge_totals(whole.totals, whole.rated, self._thresholds)
        for threshold, plain in zip(self._thresholds, judged, strict=True):
            sliding = self._sliding.get(threshold.text)
            if sliding is None:
                found.append(plain)
                continue
            if not sliding.window.full:
                sliding.look(0, rated=whole.rated)
            worst = sliding.judgement()
            if worst.observed is None and threshold.unit == "rate":
                worst = plain
            found.append(worst)
        return found

    def doubts(self) -> dict[str, str]:
        """Of thresholds over a window that are broken, by their text: why the generator alone may
        have broken them; empty where a window is broken whatever it did."""
        found = {text: sliding.doubt for text, sliding in self._sliding.items()}
        return {text: doubt for text, doubt in found.items() if doubt is not None}


class _Seen(NamedTuple):
    """What one window came to. ``why``: what puts its breaking a limit in doubt, empty where
    nothing does, None where it breaks none."""

    observed: float
    begin: float
    end: float
    few: int
    why: str | None


class _Early(NamedTuple):
    """A window over a rate in which it is not yet certain when a first answer could come: a later
    one may show that it could have come sooner."""

    seen: _Seen
    covered: float
    client: Client
    chain: Chain


class _Sliding:
    def __init__(self, threshold: Threshold, window: Window) -> None:
        self.window = window
        self._threshold = threshold
        self._worst: _Seen | None = None
        self._doubt: str | None = None
        self._early: list[_Early] = []

    def look(self, in_flight: int, chain: Chain | None = None, rated: float | None = None) -> None:
        """Take the window as it is now; rates are over ``rated`` seconds, or all of it."""
        threshold, window = self._threshold, self.window
        totals = window.totals()
        observed = measure(threshold.metric, totals, rated or window.covered)
        if observed is None and threshold.unit == "rate" and in_flight:
            observed = 0.0  # asked, and not one answer
        # A latency without an answer is none yet: it counts in the window in which it ends.
        if observed is None:
            return
        few = maximum_of(threshold.metric, totals)
        seen = _Seen(observed, window.begin, window.end, few, None)
        if threshold.unit == "rate" and chain is not None and chain.is_early(window.begin):
            self._early.append(_Early(seen, window.covered, window.client(), chain))
            return
        if self._doubt != "" and not threshold.holds(observed):
            broken = judgement(threshold, observed)
            seen = seen._replace(why=doubt(broken, window.client(), window.covered))
        self._worst = self._worse(self._worst, seen)
        self._doubt = _surer(self._doubt, seen.why)

    @property
    def doubt(self) -> str | None:
        """None while no window is broken, empty when one is for certain."""
        found = self._doubt
        for seen in self._from_early():
            found = _surer(found, seen.why)
        return found

    def judgement(self) -> Judgement:
        """The worst of all windows so far."""
        worst = self._worst
        for seen in self._from_early():
            worst = self._worse(worst, seen)
        if worst is None:
            return judgement(self._threshold, None)
        plain = judgement(self._threshold, worst.observed, maximum_of=worst.few)
        return msgspec.structs.replace(plain, begin=worst.begin, end=worst.end)

    def _worse(self, one: _Seen | None, other: _Seen) -> _Seen:
        if one is None:
            return other
        sign = 1 if self._threshold.below else -1
        return other if sign * other.observed > sign * one.observed else one

    def _from_early(self) -> Iterator[_Seen]:
        """The early windows, as far as answers could come in them by what is known now."""
        threshold = self._threshold
        for seen, covered, client, chain in self._early:
            over = covered - chain.idle(seen.begin, seen.end)
            if over < threshold.window - SLACK:
                continue
            observed = seen.observed * covered / over
            why = None
            if not threshold.holds(observed):
                why = doubt(judgement(threshold, observed), client, covered)
            yield seen._replace(observed=observed, why=why)


def _surer(one: str | None, other: str | None) -> str | None:
    """Of two doubts the lesser: a window that is broken for certain decides."""
    if one is None or other is None:
        return one if other is None else other
    return one and other
