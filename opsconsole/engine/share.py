"""What one client's jobs have of the device together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.engine.lane import Lane

_SLACK = 1 + 1 / 16


class Share:
    """The lanes of one client, which have the share of one job of weight 1 between them.

    More requests, or heavier ones, give a client no more of the device. A lane that is served
    ahead of its tag counts until then: else who always has the next request ready would have the
    time between for nothing. When lanes come and go, the others' turns come later or sooner in
    proportion; not at each of them, which would take work for all lanes, but when their weights'
    sum has changed by a sixteenth. Not thread-safe: the schedule's lock guards it.

    Attributes:
        client: Whose.
        lanes: Those that wait, and those whose tags are still to come.
        total: The sum of weights by which their turns are reckoned.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self.lanes: set[Lane] = set()
        self.total = 0.0
        self._weight = 0.0

    def add(self, weight: float, now: float) -> list[Lane]:
        """Room for a lane of this weight, which is to be put into ``lanes``.

        Args:
            weight: The lane's.
            now: Virtual time.

        Returns:
            The lanes that are there already, if their tags have changed.
        """
        self._weight += weight
        return self._adjust(now)

    def remove(self, lane: Lane, now: float) -> list[Lane]:
        """Without this lane; returns the others, if their tags have changed."""
        self.lanes.discard(lane)
        # Summed up anew in the end: rounding must not leave a weight of nothing.
        self._weight = self._weight - lane.weight if self.lanes else 0.0
        return self._adjust(now)

    def _adjust(self, now: float) -> list[Lane]:
        before, after = self.total, self._weight
        if before / _SLACK <= after <= before * _SLACK:
            return []
        self.total = after
        if not before:
            return []
        for lane in self.lanes:
            lane.tag = now + (lane.tag - now) * (after / before) if lane.tag > now else lane.tag
        return list(self.lanes)
