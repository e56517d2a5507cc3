"""From nginx's log and the client's seconds to the figures of stages and outages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from opsconsole.balancer.access import Entry, answered
from opsconsole.balancer.failover_records import Share, Stage
from opsconsole.balancer.pool import Pool
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, PhaseResult, Tick, Totals

QUIET = 0.5
"""Share of ``fail_timeout`` without a try after which a server counts as ejected."""


def divide(ticks: Sequence[Tick], begins: Sequence[float]) -> list[list[Tick]]:
    """The ticks of each stage. One in which a stage began is of that stage: what was done shows in
    it."""
    found: list[list[Tick]] = [[] for _ in begins]
    for tick in ticks:
        stage = sum(begin < tick.at + tick.seconds for begin in begins) - 1
        found[max(stage, 0)].append(tick)
    return found


def phase_of(name: str, rate: float, seconds: float, ticks: Sequence[Tick]) -> PhaseResult:
    """A stage as a phase of the stored run."""
    totals: dict[str, Totals] = {}
    client = Client()
    for tick in ticks:
        for server, part in tick.totals.items():
            totals.setdefault(server, Totals()).add(part)
        client.then(tick.client)
    phase = Phase(name=name, rate=rate, duration=round(seconds, 1))
    return PhaseResult(phase=phase, seconds=seconds, totals=totals, client=client)


def stage(
    name: str,
    begin: float,
    end: float,
    result: PhaseResult,
    entries: Sequence[Entry],
    pool: Pool,
    origin: float,
) -> Stage:
    """A stage's figures; ``entries`` are those of its time, which ends at ``end``. Seconds since
    ``origin``, which is the run's start in Unix seconds."""
    totals = result.all()
    p50, p95, p99 = totals.response.percentiles((50, 95, 99))
    passed_on: dict[str, int] = {}
    for entry in entries:
        for address, _ in entry.tries[:-1]:
            server = pool.name_of(address)
            passed_on[server] = passed_on.get(server, 0) + 1
    return Stage(
        name=name,
        begin=begin,
        seconds=end - begin,
        requests=totals.ended,
        good=totals.good,
        errors=totals.errors,
        p50=p50,
        p95=p95,
        p99=p99,
        worst_gap=worst_gap((e.at - origin for e in entries if e.good), begin, end),
        answers={pool.name_of(a): n for a, n in answered(e for e in entries if e.good).items()},
        passed_on=passed_on,
    )


def worst_gap(good: Iterable[float], begin: float, end: float) -> float | None:
    """The longest time between two moments of ``good``, the begin and the end counted too."""
    moments = [begin, *sorted(good), end]
    gaps = [later - sooner for sooner, later in pairwise(moments)]
    return max(gaps) if end > begin else None


def ejected(
    entries: Sequence[Entry], address: str, begin: float, end: float, quiet: float
) -> tuple[float | None, int]:
    """When a server that went away at ``begin`` was tried for the last time before ``quiet``
    seconds without a try (``begin`` where it never was), and how often it was tried in vain until
    ``end``.

    None where nginx never left it alone for so long.
    """
    vain = sorted(
        entry.at - entry.seconds
        for entry in entries
        if begin <= entry.at <= end and any(_failed(entry, address))
    )
    good = sorted(
        entry.at
        for entry in entries
        if begin <= entry.at <= end and entry.good and entry.answered == address
    )
    last = begin
    for moment in sorted([*vain, *good]):
        if moment - last >= quiet:
            break
        last = max(last, moment)
    return (last if end - last >= quiet else None), len(vain)


def _failed(entry: Entry, address: str) -> Iterable[bool]:
    for tried, status in entry.tries:
        if tried == address:
            yield status is None or status >= 500


def shares(
    pool: Pool, entries: Sequence[Entry], counted: dict[str, int | None]
) -> tuple[Share, ...]:
    """Each server's part of what was answered."""
    by = answered(entries)
    whole = sum(by.get(peer.address, 0) for peer in pool.peers)
    return tuple(
        Share(
            server=peer.name,
            answers=by.get(peer.address, 0),
            counted=counted.get(peer.name),
            of_fair=by.get(peer.address, 0) * len(pool.peers) / whole if whole else 0.0,
        )
        for peer in pool.peers
    )
