"""A stretch of a run in figures: its last tick, its last seconds, all that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsconsole.load.judge import family_of, histogram_of, judge_totals, percent_of
from opsconsole.load.plan import Phase
from opsconsole.load.rates import idle
from opsconsole.load.records import Client, Judgement, PhaseResult, Tick, Totals
from opsconsole.profile.threshold import STATISTICS, Threshold

_PERCENTS = {name: percent for name in STATISTICS if (percent := percent_of(name)) is not None}


class Column:
    """A stretch of a run in figures.

    Attributes:
        seconds: Its length. ``rated``: how much of it rates are over. ``totals``: of all servers.
            ``servers``: by server.
        judgements: The thresholds held against it.
    """

    def __init__(
        self,
        seconds: float,
        servers: Mapping[str, Totals],
        client: Client,
        thresholds: Sequence[Threshold] = (),
        *,
        rated: float | None = None,
    ) -> None:
        self.seconds = seconds
        self.rated = seconds if rated is None else rated
        self.servers = servers
        self.client = client
        self.totals = Totals()
        for one in servers.values():
            self.totals.add(one)
        self.judgements: list[Judgement] = judge_totals(servers, self.rated, thresholds)
        self._walked: dict[str, dict[str, float | None]] = {}

    def __bool__(self) -> bool:
        return self.seconds > 0

    def latency(self, metric: str) -> float | None:
        """A metric of latency of the requests that were answered as they should, seconds; a
        threshold's judgement counts the others too, as infinitely slow."""
        family, name = family_of(metric)
        if family not in self._walked:
            histogram = histogram_of(self.totals, metric)
            values = histogram.percentiles(_PERCENTS.values())
            self._walked[family] = {
                **dict(zip(_PERCENTS, values, strict=True)),
                "max": histogram.maximum,
                "mean": histogram.mean,
            }
        return self._walked[family][name]

    def rate(self, count: int) -> float | None:
        """``count`` a second; None in an empty column."""
        return count / self.seconds if self.seconds > 0 else None


class Sum:
    """Ticks added up, by server."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.servers: dict[str, Totals] = {}
        self.client = Client()
        self.ahead: float | None = None
        """Seconds before it that something was in flight already; None: not known."""

    def add(self, tick: Tick) -> None:
        if not self.seconds and tick.since is not None:
            self.ahead = max(0.0, tick.at - tick.since)
        self.seconds += tick.seconds
        for name, totals in tick.totals.items():
            mine = self.servers.get(name)
            if mine is None:
                mine = self.servers[name] = Totals()
            mine.add(totals)
        self.client.then(tick.client)

    def errors(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for totals in self.servers.values():
            for kind, count in totals.errors.items():
                found[kind] = found.get(kind, 0) + count
        return found

    def result(self, phase: Phase) -> PhaseResult:
        result = PhaseResult(
            phase=phase, seconds=self.seconds, totals=self.servers, client=self.client
        )
        if self.ahead is not None:
            result.idle = idle(phase, self.seconds, result.all(), self.ahead)
        return result


def result_of(column: Column) -> PhaseResult:
    """The column as a phase: of several phases as one."""
    return PhaseResult(
        phase=Phase(name="measured"),
        seconds=column.seconds,
        totals=dict(column.servers),
        client=column.client,
        idle=column.seconds - column.rated,
    )
