"""Load tests as a profile writes them, and the rules between their keys.

The command line goes by the same rules: :func:`faults` names keys, not places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from opsconsole.profile.scalars import (
    Duration,
    Headers,
    LengthsText,
    Name,
    Rate,
    Ratio,
    ThresholdText,
)
from opsconsole.profile.threshold import parse_threshold

LoadMode = Literal[
    "load", "throughput", "stress", "latency", "soak", "ramp", "spike", "rate", "search", "replay"
]
LoadDialect = Literal["own", "cohere", "jina", "tei", "vllm", "nim", "http"]
LoadArrivals = Literal["constant", "poisson", "recorded"]
Key = tuple[str | int, ...]
Fault = tuple[Key, str, str]
"""Key, what is wrong, hint."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What the name of a header and a method may be (RFC 9110 §5.6.2)."""
LAW = frozenset(
    ("requests", "concurrency", "rate", "duration", "warmup", "think", "stages", "arrivals",
     "max_in_flight")
)  # fmt: skip
"""The keys that say how fast it is sent."""
_EITHER = LAW - {"requests", "stages"}
MODE_KEYS: dict[LoadMode, frozenset[str]] = {
    "load": frozenset(("requests", "concurrency", "duration", "warmup", "think")),
    "throughput": frozenset(("requests", "concurrency", "duration", "warmup")),
    "stress": frozenset(("requests", "concurrency", "duration", "warmup")),
    "latency": frozenset(("requests", "concurrency", "duration", "warmup", "think")),
    "soak": _EITHER,
    "ramp": _EITHER | {"stages"},
    "spike": _EITHER | {"stages"},
    "rate": frozenset(("requests", "rate", "duration", "warmup", "arrivals", "max_in_flight")),
    "search": frozenset(("rate", "duration", "warmup", "arrivals", "max_in_flight")),
    "replay": LAW - {"stages"},
}
"""Which of :data:`LAW` each mode has."""
_MADE = ("documents", "document_tokens", "query_tokens", "repeat", "top_n")
_SECRET = frozenset(("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"))
_FRAMING = frozenset(
    ("content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect")
)
_LENGTHS = re.compile(
    r"(?P<fixed>\d+)|(?P<low>\d+)\s*\.\.\s*(?P<high>\d+)"
    r"|lognormal\(\s*(?P<median>\d+(\.\d+)?)\s*,\s*(?P<sigma>\d+(\.\d+)?)\s*\)"
)
MOST_TOKENS = 1_000_000


class StageDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a ramp or spike: a rate or a number of clients, held or led to another."""

    duration: Annotated[Duration, Meta(description="how long it lasts")]
    rate: Annotated[Rate, Meta(description="requests a second, whatever the server does")] | (
        UnsetType
    ) = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=100_000, description="clients that wait")] | (
        UnsetType
    ) = UNSET
    to: Annotated[Rate, Meta(description="rate or clients at its end; absent: the same")] | (
        UnsetType
    ) = UNSET


class AbortDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """Stops the run early when a threshold is broken for some time."""

    threshold: Annotated[ThresholdText, Meta(description="what must hold, such as p95 < 2s")]
    window: Annotated[Duration, Meta(description="measured over the last so long")] | (
        UnsetType
    ) = UNSET
    after: Annotated[int, Meta(ge=1, description="seconds in a row that it is broken")] | (
        UnsetType
    ) = UNSET


class LoadDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A load test."""

    name: Annotated[Name, Meta(description="unique within the profile")]
    mode: Annotated[LoadMode, Meta(description="what kind of test it is")]
    servers: (
        Annotated[
            tuple[Name, ...], Meta(description="servers that are loaded in turn; absent: the first")
        ]
        | UnsetType
    ) = UNSET
    requests: (
        Annotated[int, Meta(ge=1, le=10**10, description="requests to send (stress: in each step)")]
        | UnsetType
    ) = UNSET
    concurrency: (
        Annotated[
            int,
            Meta(ge=1, le=100_000, description="clients, each waits for its answer; stress: most"),
        ]
        | UnsetType
    ) = UNSET
    rate: (
        Annotated[
            Rate, Meta(description="requests a second, whatever the server does; search: the first")
        ]
        | UnsetType
    ) = UNSET
    duration: (
        Annotated[Duration, Meta(description="how long it is measured (stress, search: each step)")]
        | UnsetType
    ) = UNSET
    warmup: (
        Annotated[Duration, Meta(description="not measured; absent: a few requests; 0s: none")]
        | UnsetType
    ) = UNSET
    think: Annotated[Duration, Meta(description="a client's pause after an answer")] | (
        UnsetType
    ) = UNSET
    stages: (
        Annotated[tuple[StageDoc, ...], Meta(description="the stretches of a ramp or spike")]
        | UnsetType
    ) = UNSET
    arrivals: (
        Annotated[LoadArrivals, Meta(description="evenly, at random, or as the replayed file says")]
        | UnsetType
    ) = UNSET
    documents: Annotated[LengthsText, Meta(description="documents in a request")] | (
        UnsetType
    ) = UNSET
    document_tokens: Annotated[LengthsText, Meta(description="words in a document")] | (
        UnsetType
    ) = UNSET
    query_tokens: Annotated[LengthsText, Meta(description="words in a query")] | (UnsetType) = UNSET
    dialect: Annotated[LoadDialect, Meta(description="the API that is spoken")] | (
        UnsetType
    ) = UNSET
    model: Annotated[str, Meta(max_length=200, description="the model's name in requests")] | (
        UnsetType
    ) = UNSET
    top_n: Annotated[int, Meta(ge=1, description="results that are asked for")] | (
        UnsetType
    ) = UNSET
    seed: Annotated[
        int, Meta(ge=0, le=2**63 - 1, description="the same seed, the same requests")
    ] | (UnsetType) = UNSET
    repeat: Annotated[Ratio, Meta(description="pairs that were sent before, for caches")] | (
        UnsetType
    ) = UNSET
    check: Annotated[Ratio, Meta(description="answers whose body is checked")] | (UnsetType) = UNSET
    replay: Annotated[str, Meta(min_length=1, description="a JSONL file of bodies to send")] | (
        UnsetType
    ) = UNSET
    method: Annotated[str, Meta(description="of the dialect http; absent: GET")] | (
        UnsetType
    ) = UNSET
    path: Annotated[str, Meta(description="of the dialect http, or instead of a route")] | (
        UnsetType
    ) = UNSET
    body: Annotated[str, Meta(description="of the dialect http")] | UnsetType = UNSET
    headers: Annotated[Headers, Meta(description="sent with every request")] | UnsetType = UNSET
    thresholds: (
        Annotated[
            tuple[ThresholdText, ...],
            Meta(description="what must hold; absent: the servers' service levels"),
        ]
        | UnsetType
    ) = UNSET
    abort_on: Annotated[tuple[AbortDoc, ...], Meta(description="when to stop early")] | (
        UnsetType
    ) = UNSET
    timeout: Annotated[Duration, Meta(description="longest time of one request")] | (
        UnsetType
    ) = UNSET
    max_in_flight: (
        Annotated[int, Meta(ge=1, le=100_000, description="of a rate; what goes beyond is dropped")]
        | UnsetType
    ) = UNSET
    upstream_header: (
        Annotated[
            str, Meta(description="the answer's header that names the server behind a balancer")
        ]
        | UnsetType
    ) = UNSET
    processes: (
        Annotated[
            int, Meta(ge=0, le=256, description="generator processes; 0: as many as are needed")
        ]
        | UnsetType
    ) = UNSET


def parse_lengths(value: object) -> str:
    """``10`` → ``10``, ``"4..16"`` (uniform), ``"lognormal(70, 0.5)"`` (median, sigma), tidied.

    Raises:
        ValueError: anything else, or a number below 1 or above a million.
    """
    kind, first, second = lengths_of(value)
    if kind == "fixed":
        return f"{first:.10g}"
    return (
        f"{first:.10g}..{second:.10g}"
        if kind == "uniform"
        else (f"lognormal({first:.10g}, {second:.10g})")
    )


def lengths_of(
    value: object,
) -> tuple[Literal["fixed", "uniform", "lognormal"], float, float]:
    """Kind and the two numbers of what :func:`parse_lengths` takes; errors as there."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _LENGTHS.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError("expected a number, a range such as 4..16, or lognormal(70, 0.5)")
    if match["fixed"]:
        found = ("fixed", float(match["fixed"]), 0.0)
    elif match["low"]:
        found = ("uniform", float(match["low"]), float(match["high"]))
    else:
        found = ("lognormal", float(match["median"]), float(match["sigma"]))
    kind, first, second = found
    if not 1 <= first <= MOST_TOKENS or (kind == "uniform" and second > MOST_TOKENS):
        raise ValueError(f"expected numbers from 1 to {MOST_TOKENS}")
    if kind == "uniform" and second < first:
        raise ValueError("expected the lower number first")
    if kind == "lognormal" and not 0 <= second <= 3:
        raise ValueError("expected a sigma from 0 to 3")
    return found  # type: ignore[return-value]


def written(struct: Any) -> dict[str, Any]:
    """The keys of a document that are set."""
    values = ((key, getattr(struct, key)) for key in struct.__struct_fields__)
    return {key: value for key, value in values if value is not UNSET}


def faults(load: LoadDoc) -> Iterator[Fault]:
    """What is wrong between the keys of ``load``; every one of them is of its right type."""
    keys = written(load)
    yield from _law_faults(load.mode, keys)
    yield from _stage_faults(load.mode, keys)
    yield from _work_faults(keys)
    for key in ("duration", "timeout", "rate"):
        if key in keys and keys[key] <= 0:
            yield (key,), f"must be more than {'0s' if key != 'rate' else '0'}", ""
    if load.mode == "search" and keys.get("duration", 10.0) < 1:
        yield ("duration",), "a probe of a search lasts at least 1s", ""
    for i, text in enumerate(keys.get("thresholds", ())):
        unit = parse_threshold(text).unit
        if load.mode in ("search", "stress") and unit == "rate":
            yield (
                ("thresholds", i),
                f"a {load.mode} test sets the rate itself: {text} says nothing about the servers",
                "use a latency, success_rate or error_rate",
            )
    for i, abort in enumerate(keys.get("abort_on", ())):
        if abort.window is not UNSET and abort.window < 1:
            yield ("abort_on", i, "window"), "must be at least 1s", ""
    header = keys.get("upstream_header")
    if header is not None and not TOKEN.fullmatch(header):
        yield ("upstream_header",), f"{header!r} is not the name of a header", ""


def _law_faults(mode: LoadMode, keys: dict[str, Any]) -> Iterator[Fault]:
    for key in sorted(LAW & keys.keys()):
        if key not in MODE_KEYS[mode]:
            others = [name for name, has in MODE_KEYS.items() if key in has]
            yield (key,), f"the mode {mode} has no {key}", f"these have: {', '.join(others)}"
    if mode == "latency" and keys.get("concurrency", 1) != 1:
        yield ("concurrency",), "the mode latency has one client", "use the mode load"
    if mode == "rate" and "rate" not in keys:
        yield ("mode",), "the mode rate needs a rate", "such as rate: 50/s"
    if mode == "replay" and "replay" not in keys:
        yield ("mode",), "the mode replay needs a file", "such as replay: requests.jsonl"
    recorded = keys.get("arrivals") == "recorded"
    if recorded and mode != "replay":
        yield ("arrivals",), "recorded arrivals belong to the mode replay", ""
    if recorded:
        for key in ("rate", "concurrency"):
            if key in keys and key in MODE_KEYS[mode]:
                yield (key,), f"{key} contradicts recorded arrivals", "remove one of them"
    if len(MODE_KEYS[mode] & {"rate", "concurrency"}) < 2 or mode == "latency":
        return
    if "rate" in keys and "concurrency" in keys:
        yield (
            ("concurrency",),
            "a rate is sent whatever the server does, clients wait for it: they exclude each other",
            "remove rate or concurrency",
        )
        return
    stages = keys.get("stages", ())
    is_open = "rate" in keys or any(stage.rate is not UNSET for stage in stages)
    is_closed = "concurrency" in keys or any(stage.concurrency is not UNSET for stage in stages)
    if is_open and not is_closed and "think" in keys:
        yield ("think",), "only clients think, a rate does not", "use concurrency or remove think"
    if is_closed or not (is_open or mode in ("replay", "ramp", "spike")):
        for key in ("arrivals", "max_in_flight"):
            if key in keys and not (recorded and not is_closed) and not is_open:
                yield (key,), f"{key} needs a rate, clients wait for their answers", ""


def _stage_faults(mode: LoadMode, keys: dict[str, Any]) -> Iterator[Fault]:
    if mode not in ("ramp", "spike"):
        return
    if "stages" not in keys:
        if "rate" not in keys and "concurrency" not in keys:
            what = "a base" if mode == "spike" else "what it leads to"
            yield (
                ("mode",),
                f"a {mode} needs stages, or {what} as rate or concurrency",
                "such as stages: [{rate: 10/s, duration: 30s}, {rate: 50/s, duration: 10s}]",
            )
        return
    for key in ("rate", "concurrency", "duration"):
        if key in keys:
            yield (key,), f"{key} and stages exclude each other", "write it in the stages"
    if not keys["stages"]:
        yield ("stages",), "there is no stage", "such as {rate: 10/s, duration: 30s}"
    kinds = set()
    for i, stage in enumerate(keys["stages"]):
        here: Key = ("stages", i)
        laws = [key for key in ("rate", "concurrency") if getattr(stage, key) is not UNSET]
        if len(laws) != 1:
            yield here, "a stage has either a rate or a concurrency", ""
            continue
        kinds.add(laws[0])
        if len(kinds) == 2:
            yield (*here, laws[0]), "stages are all of rates or all of clients", ""
            kinds = set(laws)
        if stage.duration <= 0:
            yield (*here, "duration"), "must be more than 0s", ""
        if stage.rate == 0 and stage.to in (UNSET, 0):
            yield (*here, "rate"), "must be more than 0, or lead to a rate", ""
        if laws == ["concurrency"] and stage.to is not UNSET and stage.to != int(stage.to):
            yield (*here, "to"), "half a client cannot be", "write a whole number"
        elif laws == ["concurrency"] and stage.to is not UNSET and not 1 <= stage.to <= 100_000:
            yield (*here, "to"), "expected a number of clients from 1 to 100000", ""


def _work_faults(keys: dict[str, Any]) -> Iterator[Fault]:
    dialect = keys.get("dialect", "own")
    if dialect == "http":
        for key in (*_MADE, "model"):
            if key in keys:
                yield (key,), f"the dialect http sends what you write, not {key}", ""
        if "path" not in keys and "replay" not in keys:
            yield ("dialect",), "the dialect http needs a path", "such as path: /health"
    else:
        for key in ("method", "body"):
            if key in keys:
                yield (key,), f"{key} belongs to the dialect http", "add dialect: http"
    if "replay" in keys:
        for key in (*_MADE, "body"):
            if key in keys and not (dialect == "http" and key in _MADE):
                yield (key,), f"replayed requests have their own {key}", "remove one of them"
    method = keys.get("method", "GET")
    if not TOKEN.fullmatch(method) or method != method.upper():
        yield ("method",), f"{method!r} is not a method", "such as GET or POST"
    path = keys.get("path", "/")
    if not path.startswith("/") or not path.isprintable() or not path.isascii() or " " in path:
        yield ("path",), f"{path!r} is not a path", "expected one such as /health, percent-encoded"
    for name, value in keys.get("headers", {}).items():
        if not TOKEN.fullmatch(name):
            yield ("headers", name), f"{name!r} is not the name of a header", ""
        elif name.lower() in _SECRET:
            yield ("headers", name), "a secret in clear is refused", "use api_key of the server"
        elif name.lower() in _FRAMING:
            yield ("headers", name), "the generator writes this header itself", "remove it"
        elif not value.isprintable():
            yield ("headers", name), "a header has one printable line", ""
