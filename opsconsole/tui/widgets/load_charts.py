"""A run over time: latencies with their limits, rates, and the servers' own figures, stacked on one
time axis so that a cause stands under its effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical

from opsconsole.figures import with_unit
from opsconsole.load.judge import family_of, is_latency
from opsconsole.load.live import Live
from opsconsole.load.live_moments import Moment, Value, over_time
from opsconsole.load.records import ServerSample
from opsconsole.load.summary import per_second, span
from opsconsole.tui.widgets.chart import Chart, Mark, Role, Series, Threshold
from opsconsole.tui.widgets.load_ink import limit_words
from opsconsole.tui.widgets.raster import SymbolSet

LEAST = 6
"""Rows of the chart of latencies below which it is of no use, and rows of another one: so few that
it has no time axis of its own, but stands under that of the latencies."""
SMALL = 4
_MOST_SMALL = 8
LEAST_SPAN = 10.0
"""Seconds of the time axis at least."""
_STEPS = 320
"""Points of a filled line at least: its columns must not stand apart like the teeth of a comb."""
_LABEL = 6
"""Columns of a label: the same in every chart, so that their time axes stand under each other."""
_PERCENTILES = {"p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max"}


class _Plot(NamedTuple):
    title: str
    series: list[Series]
    levels: list[Threshold]


def _padded(write: Callable[[float], str]) -> Callable[[float], str]:
    return lambda value: f"{write(value):>{_LABEL}}"


_seconds = _padded(with_unit)
_number = _padded(per_second)
_share = _padded(lambda value: f"{value:.0%}")
_KEYS: dict[str, Callable[[float], str]] = {
    "latency": _seconds,
    "rate": _number,
    "queue": _number,
    "inference": _seconds,
    "gpu": _share,
    "cache": _share,
    "flight": _number,
}


class LoadCharts(Vertical):
    """As many charts as there is room for, the latencies first."""

    DEFAULT_CSS = """
    LoadCharts { height: 1fr; background: $background; }
    LoadCharts > Chart { display: none; height: 1fr; }
    """

    def compose(self) -> ComposeResult:
        for key, write in _KEYS.items():
            yield Chart(id=f"load-{key}", format_value=write, empty="nothing measured yet")

    def show(self, live: Live, height: int, symbols: SymbolSet) -> None:
        """Draw ``live`` in ``height`` rows."""
        if not self.children:
            return
        plots = _plots(live, self._fitting(live, height), ascii_=symbols == "ascii")
        heights = _heights(list(plots), height)
        last = max(live.seconds, LEAST_SPAN)
        warm = _warm_until(live, live.moments)
        mark = Mark(warm, "warm-up") if warm is not None else None
        for key in _KEYS:
            chart = self.query_one(f"#load-{key}", Chart)
            plot = plots.get(key)
            chart.display = plot is not None
            if plot is None:
                continue
            chart.styles.height = heights[key]
            chart.symbols = symbols
            chart.title = plot.title
            chart.show(plot.series, thresholds=plot.levels, span=(0.0, last), origin=0.0,
                       mark=mark)  # fmt: skip

    @staticmethod
    def _fitting(live: Live, height: int) -> list[str]:
        """Which charts there is room for and something to show in."""
        if height < LEAST:
            return []
        keys = ["latency"]
        left = round(height * 0.55) if height >= 2 * LEAST + SMALL else height - 2 * LEAST
        told = _told(live)
        for key in ("rate", "queue", "inference", "gpu", "cache", "flight"):
            if left < SMALL:
                break
            if key in told:
                keys.append(key)
                left -= SMALL
        return keys


def _told(live: Live) -> set[str]:
    """The charts for which there are figures."""
    samples = [sample for moment in live.moments for sample in moment.servers.values()]
    found = {"rate", "flight"}
    if any(sample.waiting is not None or sample.active is not None for sample in samples):
        found.add("queue")
    if any(sample.inference_ms is not None or sample.queue_ms is not None for sample in samples):
        found.add("inference")
    if any(sample.gpu is not None for sample in samples):
        found.add("gpu")
    if any(sample.cache_hits for sample in samples):
        found.add("cache")
    return found


def _heights(keys: Sequence[str], height: int) -> dict[str, int]:
    """The latencies get what the others leave: two fifths at least."""
    others = len(keys) - 1
    small = min(_MOST_SMALL, int(height * 0.55) // others) if others else 0
    if small < SMALL + 2:
        small = SMALL  # one row more would go to a time axis, the same again
    return {key: height - small * others if key == "latency" else small for key in keys}


def _plots(live: Live, keys: Sequence[str], *, ascii_: bool) -> dict[str, _Plot]:
    moments = live.moments
    return {key: _MAKERS[key](live, moments, ascii_) for key in keys}


def _series(name: str, moments: Sequence[Moment], value: Value, role: Role = "",
            area: bool = False) -> Series:  # fmt: skip
    times, values = over_time(moments, value)
    if area and 0 < len(moments) < _STEPS:
        times, values = _steps(moments, value, -(-_STEPS // len(moments)))
    return Series(name, times, values, role, area)


def _steps(
    moments: Sequence[Moment], value: Value, parts: int
) -> tuple[list[float], list[float | None]]:
    """Each moment as ``parts`` points from its begin to its end."""
    times: list[float] = []
    values: list[float | None] = []
    for moment in moments:
        begin, step = moment.at - moment.seconds / 2, moment.seconds / parts
        times += [begin + step * (part + 0.5) for part in range(parts)]
        values += [value(moment)] * parts
    return times, values


def _latency(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    series = [
        _series("p50", moments, lambda moment: moment.p50, "good"),
        _series("p95", moments, lambda moment: moment.p95, "warn"),
        _series("p99", moments, lambda moment: moment.p99, "bad"),
    ]
    levels: dict[float, str] = {}
    for threshold in live.thresholds:
        if is_latency(threshold.metric):
            family, name = family_of(threshold.metric)
            if family == "response" and name in _PERCENTILES:
                # One line for what several servers promise.
                levels.setdefault(threshold.limit, f"{threshold.metric} {limit_words(threshold)}")
    warm = _warm_until(live, moments)
    title = f"response time, warm-up to {span(warm)}" if warm else "response time"
    plain = [
        Threshold(limit, text.replace("µ", "u") if ascii_ else text)
        for limit, text in levels.items()
    ]
    return _Plot(title, series, plain)


def _warm_until(live: Live, moments: Sequence[Moment]) -> float | None:
    """Where the first measured phase begins, of a run that warms up once."""
    if live.climbs or not moments or live.phases[0].measured:
        return None
    for moment in moments:
        if moment.phase < len(live.phases) and live.phases[moment.phase].measured:
            return moment.at - moment.seconds / 2
    return None


def _rate(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    series = [_series("good", moments, lambda moment: moment.good, "accent", area=True)]
    if any(moment.due for moment in moments):
        series.insert(0, _series("due", moments, lambda moment: moment.due or None, "dim"))
    if any(moment.errors for moment in moments):
        errors = _series("errors", moments, lambda moment: moment.errors or None, "bad", area=True)
        # Where nothing failed nothing is drawn, but the figure is a zero, not unknown.
        object.__setattr__(errors, "last", moments[-1].errors)
        series.append(errors)
    levels = [
        Threshold(threshold.limit, f"{threshold.metric} {limit_words(threshold)}")
        for threshold in live.thresholds
        if threshold.metric in ("goodput", "throughput")
    ]
    return _Plot("requests a second", series, levels)


def _flight(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    series = [_series("in flight", moments, lambda moment: float(moment.in_flight), "accent")]
    return _Plot("in flight", series, [])


def _queue(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    found = _by_server(live, moments, lambda sample: sample.waiting, "waiting", "warn")
    if len(live.servers) < 2:
        found += _by_server(live, moments, lambda sample: sample.active, "active", "accent")
    return _Plot("servers' queue" if len(live.servers) > 1 else "server's queue", found, [])


def _inference(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    found = _by_server(live, moments, _in_seconds("inference_ms"), "inference", "accent")
    if len(live.servers) < 2:
        found += _by_server(live, moments, _in_seconds("queue_ms"), "waited", "warn")
    title = "servers' inference" if len(live.servers) > 1 else "server's time"
    return _Plot(title, found, [])


def _gpu(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    found = _by_server(live, moments, lambda sample: sample.gpu, "busy", "accent")
    return _Plot("GPU", found, [])


def _cache(live: Live, moments: Sequence[Moment], ascii_: bool) -> _Plot:
    found = _by_server(live, moments, lambda sample: sample.cache_hits, "hits", "good")
    return _Plot("cache hits", found, [])


def _in_seconds(name: str) -> Callable[[ServerSample], float | None]:
    def value(sample: ServerSample) -> float | None:
        ms: float | None = getattr(sample, name)
        return None if ms is None else ms / 1000

    return value


def _by_server(
    live: Live,
    moments: Sequence[Moment],
    value: Callable[[ServerSample], float | None],
    alone: str,
    role: Role,
) -> list[Series]:
    """A line a server; of one server it is called after what it shows."""

    def of(name: str) -> Value:
        def find(moment: Moment) -> float | None:
            sample = moment.servers.get(name)
            return None if sample is None else value(sample)

        return find

    names = live.servers
    if len(names) == 1:
        return [_series(alone, moments, of(names[0]), role)]
    return [_series(name, moments, of(name)) for name in names]


_MAKERS: dict[str, Callable[[Live, Sequence[Moment], bool], _Plot]] = {
    "latency": _latency,
    "rate": _rate,
    "queue": _queue,
    "inference": _inference,
    "gpu": _gpu,
    "cache": _cache,
    "flight": _flight,
}
