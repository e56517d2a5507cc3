"""Service levels of a run: over the whole of it, and over every window that slides along it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from opsconsole.load.judge import judge_totals, judgement, maximum_of, measure
from opsconsole.load.records import Judgement, PhaseResult, Tick
from opsconsole.load.windows import Window
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
        for threshold in self._thresholds:
            if threshold.window:
                key = threshold.window, threshold.server
                window = self._windows.setdefault(key, Window(*key))
                self._sliding[threshold.text] = _Sliding(threshold, window)

    def take(self, tick: Tick) -> None:
        """The next tick of a measured phase."""
        for window in self._windows.values():
            window.add(tick)
        for sliding in self._sliding.values():
            if sliding.window.full and not tick.is_pause:
                sliding.look(tick.client.in_flight)

    def judge(self, whole: PhaseResult) -> list[Judgement]:
        """Each threshold in its order, against ``whole`` or against its worst window.

        In a run shorter than a window, what there is of it is the window.
        """
        found = []
        judged = judge_totals(whole.totals, whole.seconds, self._thresholds)
        for threshold, plain in zip(self._thresholds, judged, strict=True):
            sliding = self._sliding.get(threshold.text)
            if sliding is not None and not sliding.window.full:
                sliding.look(0)
            found.append(plain if sliding is None else sliding.judgement())
        return found


class _Sliding:
    def __init__(self, threshold: Threshold, window: Window) -> None:
        self.window = window
        self._threshold = threshold
        self._worst: float | None = None
        self._begin: float | None = None
        self._end: float | None = None
        self._few = 0

    def look(self, in_flight: int) -> None:
        """Take the window as it is now."""
        threshold, window = self._threshold, self.window
        totals = window.totals()
        observed = measure(threshold.metric, totals, window.covered)
        if observed is None and threshold.unit == "rate" and in_flight:
            observed = 0.0  # asked, and not one answer
        # A latency without an answer is none yet: it counts in the window in which it ends.
        if observed is None:
            return
        worst = self._worst
        if worst is None or (observed > worst if threshold.below else observed < worst):
            self._worst, self._begin, self._end = observed, window.begin, window.end
            self._few = maximum_of(threshold.metric, totals)

    def judgement(self) -> Judgement:
        """The worst of all windows so far."""
        plain = judgement(self._threshold, self._worst, maximum_of=self._few)
        return msgspec.structs.replace(plain, begin=self._begin, end=self._end)
