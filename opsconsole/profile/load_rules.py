"""The rules between the keys of a load test.

The command line goes by the same rules: :func:`faults` names keys, not places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from opsconsole.load_words import MOST_CLIENTS, Mode
from opsconsole.profile.loads import LAW, MODE_KEYS, TOKEN, LoadDoc, written
from opsconsole.profile.threshold import parse_threshold

Key = tuple[str | int, ...]
Fault = tuple[Key, str, str]
"""Key, what is wrong, hint."""
_MADE = ("documents", "document_tokens", "query_tokens", "repeat", "top_n")
_SECRET = frozenset(("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"))
_FRAMING = frozenset(
    ("content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect")
)


def faults(load: LoadDoc) -> Iterator[Fault]:
    """What is wrong between the keys of ``load``; every one of them is of its right type."""
    keys = written(load)
    yield from _law_faults(load.mode, keys)
    yield from _stage_faults(load.mode, keys)
    yield from _work_faults(keys)
    for key in ("duration", "timeout", "rate"):
        if key in keys and keys[key] <= 0:
            yield (key,), f"must be more than {'0s' if key != 'rate' else '0'}", ""
    if load.mode == "search":
        yield from _search_faults(keys)
    for i, text in enumerate(keys.get("thresholds", ())):
        threshold = parse_threshold(text)
        if load.mode in ("search", "stress") and threshold.unit == "rate":
            yield (
                ("thresholds", i),
                f"a {load.mode} test sets the rate itself: {text} says nothing about the servers",
                "use a latency, success_rate or error_rate",
            )
        elif load.mode in ("search", "stress") and threshold.window:
            yield (
                ("thresholds", i),
                f"a {load.mode} test judges each of its probes as a whole, not over a window",
                "leave out `over`",
            )
    for i, abort in enumerate(keys.get("abort_on", ())):
        if parse_threshold(abort.threshold).window:
            yield ("abort_on", i, "threshold"), "its window is a key of its own", "write window:"
        if abort.window is not UNSET and abort.window < 1:
            yield ("abort_on", i, "window"), "must be at least 1s", ""
    header = keys.get("upstream_header")
    if header is not None and not TOKEN.fullmatch(header):
        yield ("upstream_header",), f"{header!r} is not the name of a header", ""


def _law_faults(mode: Mode, keys: dict[str, Any]) -> Iterator[Fault]:
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


def _search_faults(keys: dict[str, Any]) -> Iterator[Fault]:
    if keys.get("duration", 10.0) < 1:
        yield ("duration",), "a probe of a search lasts at least 1s", ""
    if not 0.01 <= keys.get("tolerance", 0.1) <= 1:
        yield ("tolerance",), "expected from 1% to 100%", "10% where it is not said"
    if keys.get("most", 1.0) <= 0:
        yield ("most",), "must be more than 0", ""
    elif keys.get("rate", 0.0) > keys.get("most", math.inf):
        yield ("most",), "is below the rate that the search starts with", "raise it, or lower rate"


def _stage_faults(mode: Mode, keys: dict[str, Any]) -> Iterator[Fault]:
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
        if laws == ["concurrency"] and stage.to is not UNSET:
            if stage.to != int(stage.to):
                yield (*here, "to"), "half a client cannot be", "write a whole number"
            elif not 1 <= stage.to <= MOST_CLIENTS:
                yield (*here, "to"), f"expected a number of clients from 1 to {MOST_CLIENTS}", ""


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
