"""The loaded servers: what each one answered, and what it says of itself meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from rich.text import Text

from opsconsole import figures
from opsconsole.load.live import Live
from opsconsole.load.records import ServerSample, Totals
from opsconsole.load.summary import per_second
from opsconsole.load.thinning import worse
from opsconsole.text import clean_line
from opsconsole.tui.widgets.load_ink import Cell, Ink, facts, fit, line

_NAME = 14
_COLUMNS = ("good/s", "p95", "err%", "queue", "active", "infer", "wait", "GPU", "cache")
_MEASURED = ("good/s", "p95", "err%")
_SPARE = ("wait", "cache", "active", "infer", "err%")
"""What goes first in a narrow terminal."""


def server_lines(ink: Ink, live: Live, width: int, most: int) -> list[Text]:
    """A table of the servers over the last seconds, at most ``most`` lines. One server that speaks
    of itself gets a line of words, and so do several together where a table has no room."""
    if most < 1:
        return []
    names = live.servers
    samples = _samples(live)
    if len(names) > 1 and most > min(len(names), 2):
        return _table(ink, live, names, samples, width, most)
    if not samples:
        return []
    together: ServerSample | None = None
    for sample in samples.values():
        together = worse(together, sample)
    lead = "server" if len(samples) == 1 else f"{len(samples)} servers, the worst"
    return _alone(ink, lead, together or ServerSample(), width, ended=live.ended)


def _samples(live: Live) -> dict[str, ServerSample]:
    """Of its last second; what waits or runs is not told of a run that has ended, where it would
    read as if it still did."""
    moments = live.moments
    found = moments[-1].servers if moments else {}
    if not live.ended:
        return found
    return {name: replace(sample, waiting=None, active=None) for name, sample in found.items()}


def _alone(ink: Ink, lead: str, sample: ServerSample, width: int, *, ended: bool) -> list[Text]:
    told = [
        ("queue", _count(sample.waiting), ""),
        ("active", _count(sample.active), ""),
        ("inference", _ms(sample.inference_ms), ""),
        ("waited", _ms(sample.queue_ms), ""),
        ("batch", _count(sample.batch_pairs), ""),
        ("GPU", _share(sample.gpu), ""),
        ("cache hits", _share(sample.cache_hits), ""),
    ]
    told = [fact for fact in told if fact[1] != figures.DASH]
    if not told and ended:
        return []
    if not told:
        state = clean_line(sample.state or "state unknown", 30)
        told = [(f"{state},", "says nothing of its queue", ink.dim)]
    return [facts(ink, lead, told, width)]


def _table(
    ink: Ink,
    live: Live,
    names: Sequence[str],
    samples: dict[str, ServerSample],
    width: int,
    most: int,
) -> list[Text]:
    told = [_values(Totals(), 0.0, sample) for sample in samples.values()]
    columns = [
        name
        for name in _COLUMNS
        if name in _MEASURED or any(values[name] != figures.DASH for values in told)
    ]
    for name in _SPARE:
        if _NAME + 7 * len(columns) <= width:
            break
        if name in columns:
            columns.remove(name)
    lines = [
        line(
            [
                Cell(f"{'server':<{_NAME}}", ink.bright),
                *(Cell(f"{name:>7}", ink.dim) for name in columns),
            ],
            width,
        )
    ]
    room = most - 1
    shown = list(names) if len(names) <= room else list(names)[: max(0, room - 1)]
    recent = live.recent
    for name in shown:
        totals = recent.servers.get(name, Totals())
        sample = samples.get(name, ServerSample())
        values = _values(totals, recent.seconds, sample)
        cells = [Cell(fit(clean_line(name, 40), _NAME - 1, ascii_=ink.symbols.plain) + " ")]
        for column in columns:
            alarm = column == "err%" and totals.ended > totals.good
            cells.append(Cell(f"{ink.plain(values[column]):>7}", ink.bad if alarm else ""))
        lines.append(line(cells, width))
    if len(shown) < len(names):
        lines.append(line([Cell(f"and {len(names) - len(shown)} more", ink.dim)], width))
    return lines[:most]


def _values(totals: Totals, seconds: float, sample: ServerSample) -> dict[str, str]:
    failed = totals.ended - totals.good
    return {
        "good/s": per_second(totals.rates(seconds).good),
        "p95": figures.latency(totals.response.percentile(95)),
        "err%": figures.percent(failed / totals.ended) if totals.ended else figures.DASH,
        "queue": _count(sample.waiting),
        "active": _count(sample.active),
        "infer": _number_ms(sample.inference_ms),
        "wait": _number_ms(sample.queue_ms),
        "GPU": _share(sample.gpu),
        "cache": _share(sample.cache_hits),
    }


def upstream_lines(ink: Ink, live: Live, width: int, most: int) -> list[Text]:
    """Which servers behind a balancer answered, by its header; empty without one."""
    column = live.whole if live.whole else live.recent
    counts = sorted(column.totals.upstreams.items(), key=lambda item: (-item[1], item[0]))
    if not counts or most < 2:
        return []
    whole = sum(count for _, count in counts)
    lines = [line([Cell(f"{'upstream':<22}", ink.bright), Cell("answers   share", ink.dim)], width)]
    room = most - 1
    shown = counts if len(counts) <= room else counts[: room - 1]
    for name, count in shown:
        cells = [
            Cell(fit(clean_line(name, 60), 21, ascii_=ink.symbols.plain) + " "),
            Cell(f"{count:>7,}{count / whole:>8.1%}"),
        ]
        lines.append(line(cells, width))
    if len(shown) < len(counts):
        lines.append(line([Cell(f"and {len(counts) - len(shown)} more", ink.dim)], width))
    return lines


def _count(value: float | None) -> str:
    return figures.DASH if value is None else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return figures.DASH if value is None else figures.with_unit(value / 1000)


def _number_ms(value: float | None) -> str:
    return figures.latency(None if value is None else value / 1000)


def _share(value: float | None) -> str:
    return figures.DASH if value is None else f"{value:.0%}"
