"""Which devices and precisions a model runs with here, whether they agree, how fast they are."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Literal

import msgspec

from opsconsole.engine.agreement import agreement_of
from opsconsole.engine.devices import NotHere
from opsconsole.engine.loading import load
from opsconsole.engine.records import Agreement
from opsconsole.engine.sample import DOCUMENTS, QUERIES
from opsconsole.engine.settings import Device, Dtype, EngineSettings

COMBINATIONS: tuple[tuple[Device, Dtype], ...] = (
    ("cpu", "float32"), ("cpu", "bfloat16"), ("cpu", "int8"),
    ("cuda", "float32"), ("cuda", "bfloat16"), ("cuda", "float16"),
    ("mps", "float32"), ("mps", "float16"),
    ("mlx", "float32"), ("mlx", "float16"),
)  # fmt: skip
SAME = 1e-4
"""Largest difference of two float32 scores that is only rounding."""
_ROUNDS_SECONDS = 1.0


class BackendReport(msgspec.Struct, frozen=True, kw_only=True):
    """One device with one precision.

    Attributes:
        problem: Why it does not run here; the measured fields are then ``None``.
        agreement: With the first float32 backend; ``None`` for that one itself.
        agrees: Whether it may be used in its place: float32 to rounding; a reduced precision
            always, with its agreement stated.
        pairs_per_second: Of short texts (30 tokens a pair), after the warm-up.
    """

    device: Device
    dtype: Dtype
    backend: Literal["pytorch", "mlx"] | None = None
    problem: str | None = None
    hint: str | None = None
    agreement: Agreement | None = None
    agrees: bool | None = None
    pairs_per_second: float | None = None
    load_seconds: float | None = None
    kernels: str = ""
    batch_tokens: int | None = None
    threads: int | None = None


def survey(settings: EngineSettings) -> Iterator[BackendReport]:
    """Load the model with every combination in turn; each report comes when it is measured.

    Raises:
        OpsError: the model itself cannot be had.
    """
    reference: list[list[float]] | None = None
    for device, dtype in COMBINATIONS:
        asked = msgspec.structs.replace(
            settings, device=device, use_mlx=None, dtype=dtype, cache=False
        )
        try:
            engine = load(asked)
        except NotHere as error:
            yield BackendReport(
                device=device, dtype=dtype, problem=error.what, hint=error.hint or None
            )
            continue
        with engine:
            scores = [engine.score(query, DOCUMENTS).values for query in QUERIES]
            began, pairs = time.perf_counter(), 0
            for query in itertools.cycle(QUERIES):
                pairs += len(engine.score(query, DOCUMENTS).values)
                if time.perf_counter() - began > _ROUNDS_SECONDS:
                    break
            rate = pairs / (time.perf_counter() - began)
        agreement = None if reference is None else agreement_of(reference, scores)
        reference = scores if reference is None else reference
        yield BackendReport(
            device=device,
            dtype=dtype,
            backend=engine.info.backend,
            agreement=agreement,
            agrees=dtype != "float32" or agreement is None or agreement.max_difference <= SAME,
            pairs_per_second=rate,
            load_seconds=engine.info.load_seconds,
            kernels=engine.info.tuning.kernels,
            batch_tokens=engine.info.tuning.batch_tokens,
            threads=engine.info.tuning.threads,
        )
