"""Load tests as a profile writes them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from opsconsole.load_words import MOST_CLIENTS, MOST_LENGTH, Arrivals, Dialect, Mode
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

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What the name of a header and a method may be (RFC 9110 §5.6.2)."""
LAW = frozenset(
    ("requests", "concurrency", "rate", "duration", "warmup", "think", "stages", "arrivals",
     "max_in_flight", "tolerance", "most", "confirm")
)  # fmt: skip
"""The keys that say how fast it is sent."""
_BOUNDS = frozenset(("tolerance", "most", "confirm"))
_EITHER = LAW - {"requests", "stages"} - _BOUNDS
MODE_KEYS: dict[Mode, frozenset[str]] = {
    "load": frozenset(("requests", "concurrency", "duration", "warmup", "think")),
    "throughput": frozenset(("requests", "concurrency", "duration", "warmup")),
    "stress": frozenset(("requests", "concurrency", "duration", "warmup", "think")),
    "latency": frozenset(("requests", "concurrency", "duration", "warmup", "think")),
    "soak": _EITHER,
    "ramp": _EITHER | {"stages"},
    "spike": _EITHER | {"stages"},
    "rate": frozenset(("requests", "rate", "duration", "warmup", "arrivals", "max_in_flight")),
    "search": frozenset(("rate", "duration", "warmup", "arrivals", "max_in_flight")) | _BOUNDS,
    "replay": LAW - {"stages"} - _BOUNDS,
}
"""Which of :data:`LAW` each mode has."""
_LENGTHS = re.compile(
    r"(?P<fixed>\d+)|(?P<low>\d+)\s*\.\.\s*(?P<high>\d+)"
    r"|lognormal\(\s*(?P<median>\d+(\.\d+)?)\s*,\s*(?P<sigma>\d+(\.\d+)?)\s*\)",
    re.ASCII,
)


class StageDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a ramp or spike: a rate or a number of clients, held or led to another."""

    duration: Annotated[Duration, Meta(description="how long it lasts")]
    rate: Annotated[Rate, Meta(description="requests a second, whatever the server does")] | (
        UnsetType
    ) = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=MOST_CLIENTS, description="clients that wait")] | (
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


_ABORT_SCHEMA = {
    "x-items": {
        "anyOf": [
            {"$ref": "#/$defs/AbortDoc"},
            {"type": "string", "examples": ["error_rate < 50% over 10s after 3"]},
        ]
    }
}
_ABORT = re.compile(r"(?P<threshold>.+?)(?:\s+after\s+(?P<after>\d+))?", re.DOTALL)
_OVER = re.compile(r" over \S+")


def parse_abort(value: object) -> AbortDoc:
    """An abort in one line: ``error_rate < 50% over 10s after 3``; the two clauses may be missing.

    Raises:
        ValueError: no text, no threshold, or ``after 0``.
    """
    match = _ABORT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a threshold, such as error_rate < 50% over 10s after 3")
    threshold = parse_threshold(match["threshold"])
    after: int | UnsetType = UNSET
    if match["after"]:
        after = int(match["after"])
        if after < 1:
            raise ValueError("expected at least 1 second after `after`")
    # Its window is a key of its own.
    text = _OVER.sub("", threshold.text)
    return AbortDoc(text, window=threshold.window or UNSET, after=after)


class LoadDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A load test."""

    name: Annotated[Name, Meta(description="unique within the profile")]
    mode: Annotated[Mode, Meta(description="what kind of test it is")]
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
            Meta(
                ge=1,
                le=MOST_CLIENTS,
                description="clients, each waits for its answer; stress: most",
            ),
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
        Annotated[Arrivals, Meta(description="evenly, at random, or as the replayed file says")]
        | UnsetType
    ) = UNSET
    tolerance: (
        Annotated[Ratio, Meta(description="of a search: how near it is to be known; absent: 10%")]
        | UnsetType
    ) = UNSET
    most: Annotated[Rate, Meta(description="of a search: the highest rate that it tries")] | (
        UnsetType
    ) = UNSET
    confirm: (
        Annotated[
            int,
            Meta(
                ge=0, le=20, description="of a search: probes that confirm what it found; absent: 2"
            ),
        ]
        | UnsetType
    ) = UNSET
    documents: Annotated[LengthsText, Meta(description="documents in a request")] | (
        UnsetType
    ) = UNSET
    document_tokens: Annotated[LengthsText, Meta(description="words in a document")] | (
        UnsetType
    ) = UNSET
    query_tokens: Annotated[LengthsText, Meta(description="words in a query")] | (UnsetType) = UNSET
    dialect: Annotated[Dialect, Meta(description="the API that is spoken")] | (UnsetType) = UNSET
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
    abort_on: (
        Annotated[
            tuple[AbortDoc, ...],
            Meta(description="when to stop early", extra_json_schema=_ABORT_SCHEMA),
        ]
        | UnsetType
    ) = UNSET
    timeout: Annotated[Duration, Meta(description="longest time of one request")] | (
        UnsetType
    ) = UNSET
    max_in_flight: (
        Annotated[
            int, Meta(ge=1, le=MOST_CLIENTS, description="of a rate; what goes beyond is dropped")
        ]
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
        ValueError: anything else, or a number below 1 or above 100,000.
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
    if not 1 <= first <= MOST_LENGTH or (kind == "uniform" and second > MOST_LENGTH):
        raise ValueError(f"expected numbers from 1 to {MOST_LENGTH}")
    if kind == "uniform" and second < first:
        raise ValueError("expected the lower number first")
    if kind == "lognormal" and not 0 <= second <= 3:
        raise ValueError("expected a sigma from 0 to 3")
    return found  # type: ignore[return-value]


def written(struct: Any) -> dict[str, Any]:
    """The keys of a document that are set."""
    values = ((key, getattr(struct, key)) for key in struct.__struct_fields__)
    return {key: value for key, value in values if value is not UNSET}
