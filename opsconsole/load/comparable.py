"""Which runs may be compared, in which of their phases, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, structs

from opsconsole.errors import UsageError
from opsconsole.load.plan import Lengths, Phase, Plan, Work
from opsconsole.load.records import Run
from opsconsole.load.replay_file import held
from opsconsole.load.summary import law
from opsconsole.profile.threshold import METRICS
from opsconsole.text import clean_line

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
    if different := list(differences(base.plan, new.plan)):
        raise UsageError(
            f"{base.id} and {new.id} are of different plans", hint="; ".join(different)
        )
    for run in (base, new):
        if run.invalid:
            raise UsageError(f"{run.id} is INVALID and cannot be compared", hint=run.invalid[0])
        if run.interventions:
            raise UsageError(
                f"{run.id} was changed by hand while it ran and cannot be compared",
                hint=run.interventions[0],
            )


def differences(base: Plan, new: Plan) -> Iterator[str]:
    """Where two plans are not the same load, in words: ``phases: 4 clients, 30s against 4 clients,
    8s``. Empty for those whose runs can be compared."""
    for name, old in structs.asdict(base).items():
        late = getattr(new, name)
        if name in _NOT_THE_LOAD or old == late:
            continue
        if name == "phases":
            yield f"phases: {_laws(old)} against {_laws(late)}"
        elif isinstance(old, Work):
            yield from _work(old, late)
        elif old is not None and late is not None and isinstance(old, Struct):
            for field, value in structs.asdict(old).items():
                if value != (other := getattr(late, field)):
                    yield f"{field}: {_told(value)} against {_told(other)}"
        elif isinstance(old or late, Struct):
            yield name
        else:
            yield f"{name}: {_told(old)} against {_told(late)}"


def _work(old: Work, late: Work) -> Iterator[str]:
    """A replay is what its file held: the same under another name is the same, and another one
    under the same name is another."""
    if (old.replayed or old.replay) != (late.replayed or late.replay):
        yield f"replay: {_file(old)} against {_file(late)}"
    for field, value in structs.asdict(old).items():
        other = getattr(late, field)
        if field not in ("replay", "replayed") and value != other:
            yield f"{field}: {_told(value)} against {_told(other)}"


def _file(work: Work) -> str:
    if work.replayed is None:
        return f"{_told(work.replay)}, of unknown content" if work.replay else "none"
    return f"{held(work.replayed)} ({_told(work.replay)})"


def _laws(phases: Sequence[Phase]) -> str:
    laws = [law(phase) for phase in phases if phase.measured] or [law(each) for each in phases]
    shown = ", then ".join(laws[:3])
    return f"{shown} and {len(laws) - 3} more" if len(laws) > 3 else shown or "none"


def _told(value: Any) -> str:
    if isinstance(value, Lengths):
        second = f" to {value.second:g}" if value.kind == "uniform" else ""
        second = f" ±{value.second:g}" if value.kind == "lognormal" else second
        return f"{value.first:g}{second}"
    if isinstance(value, dict):
        return clean_line(", ".join(f"{key}: {each}" for key, each in value.items()), 60) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return clean_line(str(value), 60) if value not in ("", None) else "none"


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
                f"{run.id} is too short to compare: {length} measured second{'s' * (length != 1)}",
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
                what = f"{name}'s {field.replace('_', ' ')}"
                yield f"{what}: {value or 'unknown'} → {after[field] or 'unknown'}"
