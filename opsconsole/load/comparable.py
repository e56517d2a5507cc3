"""Which runs may be compared, in which of their phases, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from opsconsole.errors import UsageError
from opsconsole.load.records import Run
from opsconsole.profile.threshold import METRICS

LEAST_TICKS = 8
"""Of each run."""
_NOT_THE_LOAD = frozenset({"name", "servers", "thresholds", "aborts"})
"""Fields of a plan in which comparable runs may differ."""


def refuse(base: Run, new: Run, metrics: Iterable[str], level: float) -> None:
    """Whether ``new`` can be held against ``base`` in these metrics.

    Raises:
        UsageError: the runs are of different plans, one is invalid or was changed by hand, or a
            metric or the level is none.
    """
    if not 0.5 < level < 1:
        raise UsageError(f"a level of {level:g} is not between 0.5 and 1")
    for metric in metrics:
        if metric not in METRICS:
            raise UsageError(f"unknown metric {metric!r}", hint=f"known are {', '.join(METRICS)}")
        if metric.endswith("max"):
            raise UsageError(
                f"{metric} cannot be compared", hint="one request decides it; take p99.9"
            )
    different = [
        name
        for name in structs.asdict(base.plan)
        if name not in _NOT_THE_LOAD and getattr(base.plan, name) != getattr(new.plan, name)
    ]
    if different:
        raise UsageError(
            f"{base.id} and {new.id} are of different plans",
            hint=f"they differ in {', '.join(different)}",
        )
    for run in (base, new):
        if run.invalid:
            raise UsageError(f"{run.id} is INVALID and cannot be compared", hint=run.invalid[0])
        if run.interventions:
            raise UsageError(
                f"{run.id} was changed by hand while it ran and cannot be compared",
                hint=run.interventions[0],
            )


def strata(base: Run, new: Run) -> list[tuple[int, int]]:
    """The numbers, in base and in new, of the measured phases that both ran. A stress test or a
    search goes its own way each time; what they share is the same load.

    Raises:
        UsageError: they share none, or one is too short to be resampled.
    """
    ticked = {tick.phase for tick in base.ticks}, {tick.phase for tick in new.ticks}
    left = [(at, result.phase) for at, result in enumerate(new.phases) if at in ticked[1]]
    pairs = []
    for number, result in enumerate(base.phases):
        if number not in ticked[0] or not result.phase.measured:
            continue
        for at, (other, phase) in enumerate(left):
            if phase == result.phase:
                pairs.append((number, other))
                del left[at]
                break
    if not pairs:
        raise UsageError(f"{base.id} and {new.id} have no measured phase in common")
    for run, chosen in ((base, {a for a, _ in pairs}), (new, {b for _, b in pairs})):
        length = sum(tick.phase in chosen for tick in run.ticks)
        if length < LEAST_TICKS:
            raise UsageError(
                f"{run.id} is too short to compare: {length} measured seconds",
                hint=f"at least {LEAST_TICKS} are needed, and 30 are better",
            )
    return pairs


def notes(base: Run, new: Run, shared: int) -> Iterable[str]:
    """What else differs between two runs, one line each; ``shared`` phases are compared."""
    for run in (base, new):
        if run.stopped:
            yield f"{run.id} was stopped: {run.stopped}"
        measured = sum(result.phase.measured for result in run.phases)
        if measured > shared:
            yield f"{run.id} has {measured - shared} more measured phases, which are left out"
    for what, old, late in (
        ("machine", base.machine, new.machine),
        ("opsconsole", base.version, new.version),
        ("servers", ", ".join(base.servers), ", ".join(new.servers)),
    ):
        if old != late:
            yield f"{what}: {old or 'unknown'} → {late or 'unknown'}"
    for name in base.servers.keys() & new.servers.keys():
        before, after = structs.asdict(base.servers[name]), structs.asdict(new.servers[name])
        for field, value in before.items():
            if value != after[field]:
                yield f"{name}'s {field}: {value or 'unknown'} → {after[field] or 'unknown'}"
