"""What a failover test comes to: stages, outages, shares, and whether each thing held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from opsconsole.balancer import figures
from opsconsole.balancer.access import Entry, answered
from opsconsole.balancer.failover_records import (
    Check,
    Event,
    Failover,
    Outage,
    Settings,
    Share,
    Stage,
)
from opsconsole.balancer.outages import OutageNotes
from opsconsole.balancer.pool import Pool
from opsconsole.load.records import Conclusion, Judgement, PhaseResult, Run, Tick
from opsconsole.load.summary import Verdict
from opsconsole.load.summary import verdict as load_verdict
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import format_value, parse_threshold

LEAST_SHARE = 0.1
"""Of a fair part: what ``least_conn`` gives to equal servers is not equal by contract."""
_RESTORED = "everything is as it was"
ARRIVING = 0.5
"""Seconds that an answer may take from a process that has ended to the log."""
_COUNT_SLACK = 3
"""Requests that are in flight when the counters are read."""


class Evidence(Struct, kw_only=True):
    """What was gathered; moments are Unix seconds. ``stages``: names and begins."""

    profile: str
    nginx: str
    pool: Pool
    settings: Settings
    run: Run
    entries: Sequence[Entry]
    stages: Sequence[tuple[str, float]]
    outages: Sequence[OutageNotes]
    counted: dict[str, int | None]
    steady: tuple[float, float]
    events: Sequence[Event]
    left_out: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()
    broken: Check | None = None
    """What ended the test early."""
    remarks: tuple[str, ...] = ()
    """What is not quite as it was."""


def conclude(found: Evidence) -> Failover:
    """Figures and verdict. The run's phases become the stages, so that its stored report and its
    exports tell of them."""
    run = found.run
    origin = _origin(found)
    ticks = [tick for tick in run.ticks if _measured(run, tick)]
    _reconsider(run)
    ended = max((tick.at + tick.seconds for tick in ticks), default=0.0)
    stages = _stages(found, origin, ticks, ended)
    outages = tuple(_outage(found, notes, origin, ended) for notes in found.outages)
    begin, end = found.steady
    steady = [e for e in found.entries if begin <= e.at < end]
    shares = figures.shares(found.pool, steady, found.counted) if end else ()
    checks = tuple(_checks(found, shares, outages))
    verdict: Verdict = load_verdict(run)
    # What could not be done because it was stopped is no failure; what is still away is one.
    counts = [c for c in checks if verdict != "stopped" or c.what == _RESTORED]
    invalid = tuple(run.invalid)
    if _certain(found):
        run.invalid = []  # that goes for the figures, not for this
        verdict = "failed"
    if verdict != "invalid" and not all(check.passed for check in counts):
        verdict = "failed"
    thresholds = tuple(run.judgements)
    _tell_the_run(found, checks if verdict == "failed" else (), outages)
    if invalid and not run.invalid:
        doubts = [f"the figures are in doubt: {reason}" for reason in invalid]
        told = [run.conclusion.text] if run.conclusion is not None else []
        run.conclusion = Conclusion(text="; ".join([*told, *doubts]))
    return Failover(
        run=run.id,
        at=run.at,
        profile=found.profile,
        nginx=found.nginx,
        servers=tuple(peer.name for peer in found.pool.peers),
        settings=found.settings,
        verdict=verdict,
        stages=stages,
        outages=outages,
        shares=shares,
        thresholds=thresholds,
        checks=checks,
        events=tuple(Event(event.at - origin, event.what) for event in found.events),
        examples=run.examples,
        invalid=invalid,
        stopped=run.stopped,
        left_out=found.left_out,
        not_restored=found.not_restored,
    )


def _certain(found: Evidence) -> bool:
    """Whether it failed, however good the figures are: what had to be done could not be, or what
    was taken away is not back."""
    return bool(found.broken or found.not_restored)


def _tell_the_run(found: Evidence, checks: Sequence[Check], outages: Sequence[Outage]) -> None:
    """Its stored verdict is that of the failover, and its conclusion tells how it went."""
    run = found.run
    run.judgements += [
        Judgement(
            threshold=f"{check.what} ({check.observed})", metric="success_rate", limit=1.0,
            observed=None, passed=False,
        )
        for check in checks if not check.passed
    ]  # fmt: skip
    if outages:
        told = []
        for outage, notes in zip(outages, found.outages, strict=True):
            back = _back(found, outage, notes)
            healthy = "" if outage.healthy is None else f", healthy after {outage.healthy:.1f} s"
            told.append(f"{outage.server} {outage.how}{healthy}, {back}")
        run.conclusion = Conclusion(text="; ".join(told))


def _back(found: Evidence, outage: Outage, notes: OutageNotes) -> str:
    if outage.returned is not None:
        return f"back {outage.returned:.1f} s later"
    if notes.awaited or any(each.startswith(f"{outage.server}:") for each in found.not_restored):
        return "not back"
    # It was stopped before.
    return "its return not waited for" if outage.healthy is not None else "started at the end"


def _reconsider(run: Run) -> None:
    """Where no latency is promised, a request that was sent late counts as any other: what decides
    is whether it is answered within its time limit."""
    whole = run.measured()
    limits = [parse_threshold(judgement.threshold) for judgement in run.judgements]
    if whole is None or not run.invalid or any(limit.unit == "seconds" for limit in limits):
        return
    limit = parse_threshold(f"p50 < {format_value('p50', run.plan.timeout)}")
    run.invalid = reasons(whole, [*limits, limit])


def _measured(run: Run, tick: Tick) -> bool:
    return tick.phase < len(run.phases) and run.phases[tick.phase].phase.measured


def _origin(found: Evidence) -> float:
    """The run's start, Unix seconds: the first request is sent then, as nginx's log has it."""
    if found.entries:
        return min(entry.at - entry.seconds for entry in found.entries[:50])
    return found.stages[0][1] if found.stages else found.run.at


def _stages(found: Evidence, origin: float, ticks: list[Tick], ended: float) -> tuple[Stage, ...]:
    run = found.run
    if not found.stages:
        return ()
    begins = [begin - origin for _, begin in found.stages]
    # What was measured while the director had not begun yet is of its first stage.
    begins[0] = min([begins[0], *(tick.at for tick in ticks)])
    ends = [*begins[1:], max(ended, begins[-1])]
    results: list[PhaseResult] = []
    stages: list[Stage] = []
    parts = figures.divide(ticks, begins)
    before = [result for result in run.phases if not result.phase.measured]
    for (name, _), begin, end, part in zip(found.stages, begins, ends, parts, strict=True):
        result = figures.phase_of(name, found.settings.rate, end - begin, part)
        entries = [e for e in found.entries if begin <= e.at - origin < end]
        results.append(result)
        stages.append(figures.stage(name, begin, end, result, entries, found.pool, origin))
        for tick in part:
            tick.phase = len(before) + len(results) - 1
    run.phases = [*before, *results]
    return tuple(stages)


def _outage(found: Evidence, notes: OutageNotes, origin: float, ended: float) -> Outage:
    peer = next(peer for peer in found.pool.peers if peer.name == notes.server)
    until = notes.healthy or ended + origin
    quiet = figures.QUIET * found.settings.fail_timeout
    ejected, tries = figures.ejected(found.entries, peer.address, notes.at, until, quiet)
    answers = [entry.at for entry in found.entries if entry.good and entry.answered == peer.address]
    gone = notes.gone or until
    before = [at for at in answers if notes.at <= at <= gone + ARRIVING]
    later = [at for at in answers if at > gone + ARRIVING]

    def after(moment: float | None, since: float | None) -> float | None:
        return None if moment is None or since is None else max(0.0, moment - since)

    return Outage(
        server=notes.server,
        how=notes.how,
        at=notes.at - origin,
        gone=after(notes.gone, notes.at),
        last_answer=after(max(before, default=None), notes.at),
        ejected=after(ejected, notes.at),
        tries=tries,
        healthy=after(notes.healthy, notes.at),
        returned=after(min(later, default=None), notes.healthy),
        by=notes.by,
    )


def _checks(found: Evidence, shares: Sequence[Share], outages: Sequence[Outage]) -> Iterator[Check]:
    for share in shares:
        yield Check(
            f"{share.server} gets its part", share.of_fair >= LEAST_SHARE,
            f"{share.of_fair:.0%} of a fair one",
        )  # fmt: skip
        if share.counted is not None:
            slack = _COUNT_SLACK + share.answers // 50
            yield Check(
                f"{share.server}'s own counter agrees",
                # More is no fault: a fleet in use has other clients.
                share.counted >= share.answers - slack,
                f"{share.counted} against {share.answers}"
                + (": others ask it too" if share.counted > share.answers + slack else ""),
            )
    yield from _header_check(found)
    for outage, notes in zip(outages, found.outages, strict=True):
        # What was not waited for, because it was stopped, says nothing.
        seen = outage.ejected is not None or outage.healthy is not None
        if outage.how == "drained" and seen:
            yield Check(
                f"{outage.server} is ejected", outage.ejected is not None,
                "it is tried again and again" if outage.ejected is None
                else f"after {outage.ejected:.1f} s",
            )  # fmt: skip
        if outage.how == "killed" and outage.by:
            yield Check(
                f"{outage.server} is started by its keeper", outage.by == "its keeper",
                f"by {outage.by}",
            )  # fmt: skip
        if outage.returned is not None or notes.awaited:
            yield Check(
                f"{outage.server} returns", outage.returned is not None,
                f"not within {found.settings.return_within:g} s" if outage.returned is None
                else f"after {outage.returned:.1f} s",
            )  # fmt: skip
    if found.broken is not None:
        yield found.broken
    if found.outages:
        yield Check(
            _RESTORED, not found.not_restored,
            "; ".join([*(found.not_restored or ["all run"]), *found.remarks]),
        )  # fmt: skip


def _header_check(found: Evidence) -> Iterator[Check]:
    """The client and nginx's log must tell the same of who answered."""
    whole: dict[str, int] = {}
    silent = 0
    for tick in found.run.ticks:
        totals = tick.all()
        # Whom the client gave up may be answered in the log all the same.
        silent += totals.ended - sum(totals.upstreams.values())
        for names, count in totals.upstreams.items():
            last = names.replace(" : ", ", ").split(", ")[-1]
            whole[last] = whole.get(last, 0) + count
    logged = answered(found.entries)
    told = sum(whole.get(peer.address, 0) for peer in found.pool.peers)
    wrote = sum(logged.get(peer.address, 0) for peer in found.pool.peers)
    off = max(
        (abs(whole.get(p.address, 0) - logged.get(p.address, 0)) for p in found.pool.peers),
        default=0,
    )
    yield Check("X-Upstream and nginx's log agree", off <= _COUNT_SLACK + silent,
                f"{told} and {wrote}")  # fmt: skip
