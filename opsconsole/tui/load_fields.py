"""The fields of a load test's form: which there are for a mode, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from opsconsole.load.plan import DIALECTS, Mode
from opsconsole.profile.loads import LAW, MODE_KEYS


class Field(NamedTuple):
    """A key of a load test in the form.

    Attributes:
        note: What it takes, at most 42 characters.
        default: What holds when nothing is said.
        choices: The only values, where there are few.
        more: Behind the fold.
        many: Several of the choices, which may come later, can be ticked.
    """

    key: str
    label: str
    note: str
    default: str = ""
    choices: tuple[str, ...] = ()
    more: bool = False
    many: bool = False


FIELDS: tuple[Field, ...] = (
    Field("replay", "file", "JSONL, a request a line"),
    Field("rate", "rate", "requests a second, such as 50/s"),
    Field("concurrency", "clients", "each waits for its answer"),
    Field("requests", "requests", "how many in all"),
    Field("duration", "duration", "how long, such as 30s or 2m"),
    Field("stages", "stages", "10..50/s 30s, 50/s 1m; or clients: 8 1m"),
    Field("arrivals", "arrivals", "even gaps, or random as from many users",
          "constant", ("constant", "poisson")),
    Field("servers", "servers", "in turn, when there are several", many=True),
    Field("method", "method", "such as GET or POST", "GET"),
    Field("path", "path", "such as /health; else the dialect's own", "of the dialect", more=True),
    Field("body", "body", "what is sent, such as {}", "none"),
    Field("documents", "documents", "each request: 10, 5..20, lognormal(9, 0.5)", "10"),
    Field("document_tokens", "words each", "such as 70, 20..90 or lognormal(70, 0.5)",
          "lognormal(70, 0.5)"),
    Field("thresholds", "thresholds", "p95 < 500ms, success_rate > 99%"),
    Field("abort_on", "abort on", "p95 < 2s over 10s: stops when it is broken", "nothing"),
    Field("dialect", "dialect", "whose API is spoken", "own", DIALECTS),
    Field("query_tokens", "query words", "8, 4..16, or lognormal(8, 0.5)", "4..16", more=True),
    Field("repeat", "repeated", "pairs that were sent before, such as 30%", "0%", more=True),
    Field("top_n", "top_n", "results that are asked for", "all", more=True),
    Field("model", "model", "the model's name in requests", "none", more=True),
    Field("most", "at most", "a second; the highest that is tried", "no limit", more=True),
    Field("tolerance", "tolerance", "how near it is to be known, such as 5%", "10%", more=True),
    Field("confirm", "confirmed", "probes more at the rate that was found", "2", more=True),
    Field("warmup", "warm-up", "not measured, such as 5s; 0s: none", "a few requests", more=True),
    Field("think", "think time", "a client's pause after an answer: 200ms", "none", more=True),
    Field("max_in_flight", "in flight", "at most; what goes beyond is dropped", "1000", more=True),
    Field("timeout", "timeout", "longest time of one request", "30s", more=True),
    Field("check", "checked", "answers whose body is checked: 10%", "100%", more=True),
    Field("seed", "seed", "the same seed, the same requests", "1", more=True),
    Field("headers", "headers", "NAME: VALUE; NAME: VALUE", "none", more=True),
    Field("upstream_header", "upstream", "header naming the server behind a balancer", "none",
          more=True),
    Field("processes", "processes", "of the generator", "as many as needed", more=True),
)  # fmt: skip
"""In their order on the screen."""
LABELS = {field.key: field.label for field in FIELDS}

_NOTES: dict[tuple[str, str], str] = {
    ("stress", "concurrency"): "at most; it doubles from 1 until it breaks",
    ("stress", "requests"): "of each step, instead of a duration",
    ("stress", "duration"): "of each step, such as 10s",
    ("search", "rate"): "the first that is tried, such as 4/s",
    ("search", "duration"): "of each probe, such as 10s",
    ("ramp", "rate"): "a second, at its end; instead of clients",
    ("ramp", "concurrency"): "at its end; instead of a rate",
    ("spike", "rate"): "before and after; the crowd is 5 times it",
    ("spike", "concurrency"): "before and after; the crowd is 5 times it",
    ("soak", "rate"): "requests a second; instead of clients",
    ("replay", "rate"): "a second; instead of clients",
}
_DEFAULTS: dict[tuple[str, str], str] = {
    ("load", "requests"): "100",
    ("load", "concurrency"): "4",
    ("throughput", "concurrency"): "8",
    ("throughput", "duration"): "20s",
    ("stress", "concurrency"): "256",
    ("stress", "duration"): "10s",
    ("latency", "requests"): "50",
    ("soak", "concurrency"): "4",
    ("soak", "duration"): "10m",
    ("ramp", "duration"): "1m",
    ("spike", "duration"): "1m",
    ("rate", "duration"): "30s",
    ("search", "rate"): "4/s",
    ("search", "duration"): "10s",
    ("search", "arrivals"): "poisson",
    ("replay", "requests"): "all of the file",
}
_INSTEAD = {
    "requests": "duration", "duration": "requests", "rate": "concurrency", "concurrency": "rate",
}  # fmt: skip
"""A key that has no default any more when the other is said."""
_HTTP = frozenset(("method", "body"))
_MADE = frozenset(("documents", "document_tokens", "query_tokens", "repeat", "top_n"))


def fields_of(mode: Mode, texts: Mapping[str, str]) -> list[Field]:
    """The fields that a test of ``mode`` has, with the notes and defaults that hold for it.

    Args:
        texts: What is typed so far: some fields have no meaning beside others.
    """
    is_http = texts.get("dialect") == "http"
    hidden = set(LAW - MODE_KEYS[mode])
    hidden |= _MADE | {"model"} if is_http else _HTTP
    if mode == "latency":
        hidden.add("concurrency")  # it is always one
    if mode == "replay":
        hidden |= _MADE
    elif not texts.get("replay"):
        hidden.add("replay")
    # What a profile says is shown, be it right or wrong.
    shown = [field for field in FIELDS if field.key not in hidden or texts.get(field.key)]
    return [_for(field, mode, texts, is_http=is_http) for field in shown]


def _for(field: Field, mode: Mode, texts: Mapping[str, str], *, is_http: bool) -> Field:
    key = field.key
    default = _DEFAULTS.get((mode, key), field.default)
    instead = _INSTEAD.get(key)
    if instead is not None and (texts.get(instead) or not default):
        default = "no limit" if key in ("requests", "duration") else "none"
    if key in ("concurrency", "rate", "duration") and texts.get("stages"):
        default = "as the stages say"
    choices = field.choices
    if key == "arrivals" and mode == "replay":
        choices, default = (*choices, "recorded"), "as recorded, if it says"
    return field._replace(
        note=_NOTES.get((mode, key), field.note),
        default=default,
        choices=choices,
        more=field.more and not (key == "path" and is_http),
    )
