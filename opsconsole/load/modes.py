"""A load test's mode and numbers → the plan that is run. What is not said has a sensible value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import UNSET

from opsconsole.errors import UsageError
from opsconsole.load.option_values import number_of, option_value
from opsconsole.load.plan import (
    MODES,
    Abort,
    Lengths,
    Mode,
    Phase,
    Plan,
    Search,
    Steps,
    Work,
)
from opsconsole.load.replay_file import look_into, replayed
from opsconsole.profile.load_rules import faults
from opsconsole.profile.loads import (
    LoadDoc,
    StageDoc,
    lengths_of,
    written,
)
from opsconsole.profile.problems import nearest

NUMBERS: dict[Mode, tuple[str, ...]] = {
    "load": ("requests", "concurrency"),
    "throughput": ("requests", "concurrency"),
    "stress": ("requests", "concurrency"),
    "latency": ("requests",),
    "soak": (),
    "ramp": (),
    "spike": (),
    "rate": ("rate",),
    "search": ("rate",),
    "replay": ("requests", "concurrency"),
}
"""What the numbers after a mode mean: ``load 100 4`` is 100 requests by 4 clients."""
WARM_UP_REQUESTS = 5
SPIKE = 5
"""A spike is this many times its base."""
_RAMP_STEPS = 20


def plan_for(
    mode: str,
    *,
    numbers: Sequence[float | str] = (),
    base: LoadDoc | None = None,
    **options: Any,
) -> Plan:
    """The plan of a mode on the command line; see :data:`NUMBERS` for ``numbers``.

    Args:
        numbers: As numbers, or as they are typed: ``"100"``, and for a rate ``"50/s"``.
        base: A profile's load test whose keys hold where ``options`` says nothing; ``mode`` is
            then its name or its mode.
        options: Keys of a load test in a profile. Values as there, or as text: ``"30s"``,
            ``"50/s"``, ``"99%"``. A stage may be written ``10..50/s 30s`` (a rate) or ``8 1m``
            (clients), an abort ``error_rate < 50% over 10s after 3``. None: not said.

    Raises:
        UsageError: no such mode, a value that is none, keys that contradict each other, a replay
            file that cannot be read.
    """
    values: dict[str, Any] = {"name": mode, "mode": mode}
    if base is not None:
        values = written(base)
    kind: Mode = values["mode"]
    if kind not in MODES:
        raise UsageError(f"there is no load test {mode!r}", hint=nearest(mode, MODES))
    named = NUMBERS[kind]
    if len(numbers) > len(named):
        what = " and ".join(key.upper() for key in named)
        hint = f"they are {what}" if named else "use options, such as --rate or -c"
        raise UsageError(f"the mode {kind} takes {len(named) or 'no'} number"
                         f"{'s' * (len(named) != 1)}, got {len(numbers)}", hint=hint)  # fmt: skip
    for key, number in zip(named, numbers, strict=False):
        if options.get(key) is not None:
            given = f"{number:g}" if isinstance(number, float) else number
            raise UsageError(f"{key} is given twice: {given} and {options[key]}")
        options[key] = number_of(key, number) if isinstance(number, str) else number
    for key, value in options.items():
        if value is not None and value != ():
            values[key] = option_value(key, value)
    document = LoadDoc(**values)
    for place, message, hint in faults(document):
        key = str(place[0])
        raise UsageError(message, where="" if key == "mode" else key, hint=hint)
    return build(document)


def build(load: LoadDoc) -> Plan:
    """The plan of a load test whose keys are right.

    Raises:
        UsageError: its replay file cannot be read.
    """
    keys = written(load)
    common: dict[str, Any] = {
        key: keys[key]
        for key in ("servers", "thresholds", "timeout", "max_in_flight", "upstream_header",
                    "processes")
        if key in keys
    }  # fmt: skip
    if "abort_on" in keys:
        common["aborts"] = tuple(Abort(**written(abort)) for abort in keys["abort_on"])
    measured = _PHASES[load.mode](load, keys)
    return Plan(
        name=load.name,
        mode=load.mode,
        work=_work(keys),
        phases=(*_warm_up(load, measured), *measured),
        steps=_steps(keys) if load.mode == "stress" else None,
        search=_search(keys) if load.mode == "search" else None,
        **common,
    )


def _work(keys: dict[str, Any]) -> Work:
    values: dict[str, Any] = {
        key: keys[key]
        for key in ("dialect", "seed", "repeat", "check", "replay", "method", "path", "body",
                    "headers", "model", "top_n")
        if key in keys
    }  # fmt: skip
    for key in ("documents", "document_tokens", "query_tokens"):
        if key in keys:
            values[key] = Lengths(*lengths_of(keys[key]))
    if "replay" in keys:
        values["replayed"] = replayed(Path(keys["replay"]).expanduser())
    return Work(**values)


# -- phases ---------------------------------------------------------------------------------------
def _warm_up(load: LoadDoc, measured: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """A few requests, or as the first phase for as long as is said: connections are opened, caches
    and compilers warm."""
    first = measured[0] if measured else None
    if first is not None and first.arrivals == "recorded":
        if load.warmup is not UNSET and load.warmup:
            raise UsageError("a warm-up would use up recorded requests", where="warmup",
                             hint="remove warmup, or give a rate or clients")  # fmt: skip
        return ()
    if load.warmup == 0:
        return ()
    clients = first.concurrency if first is not None and first.concurrency else 1
    if load.warmup is UNSET or load.mode == "search":
        requests = max(WARM_UP_REQUESTS, clients)
        return (Phase(name="warm-up", measured=False, requests=requests, concurrency=clients),)
    if first is None or not first.is_open or not first.rate:
        return (Phase(name="warm-up", measured=False, duration=load.warmup, concurrency=clients),)
    return (
        Phase(name="warm-up", measured=False, duration=load.warmup, rate=first.rate,
              arrivals=first.arrivals),
    )  # fmt: skip


def _closed(keys: dict[str, Any], *, clients: int, **otherwise: Any) -> Phase:
    """``otherwise``: the end where neither requests nor a duration is given."""
    end = _end(keys) or otherwise
    return Phase(
        name=keys["mode"],
        concurrency=keys.get("concurrency", clients),
        think=keys.get("think", 0.0),
        **end,
    )


def _open(keys: dict[str, Any], **otherwise: Any) -> Phase:
    end = _end(keys) or otherwise
    return Phase(name=keys["mode"], rate=keys["rate"], arrivals=_arrivals(keys), **end)


def _end(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key in ("requests", "duration")}


def _arrivals(keys: dict[str, Any]) -> Any:
    return keys.get("arrivals", "constant")


def _soak(_: LoadDoc, keys: dict[str, Any]) -> tuple[Phase, ...]:
    if "rate" in keys:
        return (_open(keys, duration=600.0),)
    return (_closed(keys, clients=4, duration=600.0),)


def _stages(load: LoadDoc, keys: dict[str, Any]) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for number, stage in enumerate(keys.get("stages") or _shorthand(load, keys), 1):
        name = f"stage {number}"
        if stage.rate is not UNSET:
            end = None if stage.to is UNSET or stage.to == stage.rate else stage.to
            phases.append(Phase(name=name, duration=stage.duration, rate=stage.rate,
                                rate_end=end, arrivals=_arrivals(keys)))  # fmt: skip
            continue
        first = stage.concurrency
        last = first if stage.to is UNSET else int(stage.to)
        steps = min(abs(last - first) + 1, _RAMP_STEPS, max(1, int(stage.duration)))
        for step in range(steps):
            clients = round(first + (last - first) * step / (steps - 1)) if steps > 1 else last
            phases.append(
                Phase(
                    name=name if steps == 1 else f"{name}: {clients} client{'s' * (clients != 1)}",
                    duration=stage.duration / steps,
                    concurrency=clients,
                    think=keys.get("think", 0.0),
                )
            )
    return tuple(phases)


def _shorthand(load: LoadDoc, keys: dict[str, Any]) -> list[StageDoc]:
    """Spike: base, five times the base, base. Ramp: up to the given rate or clients."""
    seconds = keys.get("duration", 60.0)
    is_open = "rate" in keys
    level = keys["rate" if is_open else "concurrency"]

    def stage(share: float, first: Any, to: Any = UNSET) -> StageDoc:
        if is_open:
            return StageDoc(seconds * share, rate=first, to=to)
        return StageDoc(seconds * share, concurrency=first, to=to)

    if load.mode == "ramp":
        return [stage(1.0, 0.0 if is_open else 1, float(level))]
    return [stage(0.4, level), stage(0.2, level * SPIKE), stage(0.4, level)]


def _replay(load: LoadDoc, keys: dict[str, Any]) -> tuple[Phase, ...]:
    path = Path(keys["replay"]).expanduser()
    found = look_into(path)
    lines, recorded = found.requests, found.seconds
    if "rate" in keys:
        return (_open(keys, requests=lines),)
    if keys.get("arrivals") == "recorded" and recorded is None:
        raise UsageError("there are no moments in it", where=str(path),
                         hint="give each line an `at`, in seconds")  # fmt: skip
    if recorded is not None and "concurrency" not in keys:
        return (Phase(name="replay", arrivals="recorded", recorded=recorded, **_end(keys)),)
    return (_closed(keys, clients=1, requests=lines),)


def _steps(keys: dict[str, Any]) -> Steps:
    end = _end(keys)
    if "requests" in keys:
        end.setdefault("duration", None)
    return Steps(most=keys.get("concurrency", 256), think=keys.get("think", 0.0), **end)


def _search(keys: dict[str, Any]) -> Search:
    named = ("duration", "warmup", "arrivals", "tolerance", "most", "confirm")
    start = {"start": keys.get("rate", 4.0)}
    return Search(**start, **{key: keys[key] for key in named if key in keys})


_PHASES: dict[Mode, Callable[[LoadDoc, dict[str, Any]], tuple[Phase, ...]]] = {
    "load": lambda _, keys: (_closed(keys, clients=4, requests=100),),
    "throughput": lambda _, keys: (_closed(keys, clients=8, duration=20.0),),
    "latency": lambda _, keys: (_closed(keys, clients=1, requests=50),),
    "soak": _soak,
    "ramp": _stages,
    "spike": _stages,
    "rate": lambda _, keys: (_open(keys, duration=30.0),),
    "replay": _replay,
    "stress": lambda *_: (),
    "search": lambda *_: (),
}
