"""The words of a load test that profiles and plans share, cheap to import for the generator."""

from __future__ import annotations

from typing import Literal

Mode = Literal[
    "load", "throughput", "stress", "latency", "soak", "ramp", "spike", "rate", "search", "replay"
]
Dialect = Literal["own", "cohere", "jina", "tei", "vllm", "nim", "http"]
Arrivals = Literal["constant", "poisson", "recorded"]

MODES: tuple[Mode, ...] = Mode.__args__  # type: ignore[attr-defined]
DIALECTS: tuple[Dialect, ...] = Dialect.__args__  # type: ignore[attr-defined]
ARRIVALS: tuple[Arrivals, ...] = Arrivals.__args__  # type: ignore[attr-defined]

VERBS = ("list", "show", "compare", "export", "baseline", "delete", "failover")
"""What ``opsconsole load`` does besides running a test, so that no test can be called so."""
LATEST = "latest"
"""The newest run, which no test can be called either."""

MOST_LENGTH = 100_000
"""Longest text in words, and most documents of a request."""
MOST_CLIENTS = 100_000
