"""What the engine says about itself and its work; immutable, free of torch."""

from __future__ import annotations

from typing import Literal

import msgspec

Family = Literal["bi-encoder", "cross-encoder"]
"""A bi-encoder's score is the cosine of two vectors, a cross-encoder reads both texts at once."""


Side = Literal["left", "right"]

MOST_CHUNKS = 1000
"""Chunks of one document, whatever a request asks for: half a million tokens with most models."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How one request wants to be computed."""

    truncate: bool = True
    """``False``: refuse a pair that does not fit with :class:`InputTooLong` instead of cutting."""
    truncation_side: Side | None = None
    """Which end is cut off; ``None``: as the tokenizer is configured."""
    max_tokens_per_query: int | None = None
    max_tokens_per_doc: int | None = None
    """The query, or each document (before it is split into chunks), is first cut to this."""
    max_chunks_per_doc: int = 1
    """Over 1: a document that does not fit beside the query is split into up to so many chunks,
    and the best one's score is the document's. Beyond :data:`MOST_CHUNKS` it is that many."""
    activation: Literal["default", "sigmoid", "none"] = "default"
    """A cross-encoder's scores: as its reference computes them, probabilities, or logits."""
    weight: float = 1.0
    """Share of the device beside other requests of the same client; beside all, without one."""
    client: str | None = None
    """Who shares the device with others in equal parts, however many requests wait; ``None``: each
    such request has a share of its own, by its weight."""
    deadline: float | None = None
    """``time.monotonic()`` after which nobody wants the answer: :class:`DeadlineMissed`."""


class Scores(msgspec.Struct, frozen=True):
    """The relevance scores of one request, in the order of its documents, and what they cost."""

    values: list[float]
    """float32 precision, one a document, always finite."""
    tokens: int = 0
    """Tokens computed; cached and repeated pairs cost none."""
    padded_tokens: int = 0
    """Positions computed, padding included: never less than ``tokens``."""
    truncated: int = 0
    """Documents whose text did not fit whole; cached ones are not counted."""
    cache_hits: int = 0
    queue_seconds: float = 0.0
    """From the submission to the first forward, without the tokenising."""
    tokenize_seconds: float = 0.0
    inference_seconds: float = 0.0


class Tuning(msgspec.Struct, frozen=True):
    """What the warm-up measured, or was told, about how this machine computes best."""

    batch_tokens: int = 2048
    """Most positions in a batch."""
    fill_tokens: int = 256
    """Positions from which more are hardly faster: other requests' rows fill a batch up to it."""
    batch_padding: int = 64
    """Most padded positions in a batch; what starting another one costs."""
    batch_size: int = 32
    """Most rows in a batch."""
    threads: int = 0
    """CPU threads of one forward; 0 where the device is not the CPU."""
    tokens_per_second: float = 0.0
    """Measured in warm-up; 0 when it was not."""
    kernels: str = ""
    """What computes the layers, in words."""


class Agreement(msgspec.Struct, frozen=True):
    """How a reduced precision ranks beside float32, on texts that come with opsconsole."""

    kendall_tau: float
    max_difference: float
    """Largest difference of two scores, activation applied."""
    pairs: int


class ModelInfo(msgspec.Struct, frozen=True):
    """Which model is loaded and what it runs on."""

    name: str
    """The embedded model's own name, a folder's name, or the Hugging Face name."""
    path: str
    revision: str
    """``sha256:…`` of the weights, or ``commit:…`` for a model from the Hugging Face cache."""
    family: Family
    architecture: str
    """The class name of the checkpoint, such as ``BertForSequenceClassification``."""
    backend: Literal["pytorch", "mlx"]
    device: str
    """``cpu``, ``cuda:0``, ``mps`` or ``mlx``."""
    dtype: str
    """What the linear layers compute in: ``float32``, ``bfloat16``, ``float16`` or ``int8``."""
    max_length: int
    """Most tokens of one input; the rest is cut off."""
    parameters: int
    load_seconds: float = 0.0
    tuning: Tuning = Tuning()
    agreement: Agreement | None = None
    """Of a reduced precision with float32; ``None`` for float32."""


class EngineStats(msgspec.Struct, frozen=True):
    """Counters since the engine was loaded."""

    pairs: int = 0
    """Pairs answered, by the model or from the cache."""
    batches: int = 0
    rows: int = 0
    """Inputs computed."""
    tokens_real: int = 0
    tokens_padded: int = 0
    """Positions computed, padding included."""
    cache_hits: int = 0
    cache_misses: int = 0
    cache_entries: int = 0
    cache_bytes: int = 0
    failures: int = 0
    """Requests that the engine failed on; what was cancelled, late or too long is not counted."""
    consecutive_failures: int = 0
    """Failures since the last request that the model answered."""
    out_of_memory: int = 0
    """Batches that did not fit the device and were halved."""
    cancelled: int = 0
    """Requests that were cancelled before they were computed to their end."""
    expired: int = 0
    """Requests whose deadline passed in the engine."""
    shared_pairs: int = 0
    """Pairs that were computed once for several requests in flight."""
    embedding_hits: int = 0
    embedding_misses: int = 0
    embedding_entries: int = 0
    embedding_bytes: int = 0
    """A bi-encoder's cache of documents' vectors."""
    batch_rows: tuple[int, ...] = ()
    """Batches by number of rows: one count for each of ``counters.ROW_BOUNDS``, one above."""
    batch_positions: tuple[int, ...] = ()
    """Batches by positions, padding included, likewise for ``counters.POSITION_BOUNDS``."""
    queued_rows: int = 0
    queued_tokens: int = 0
    """Tokenised, and waiting for the device."""
    tokens_per_second: float | None = None
    """Real tokens the device computes while it works, over the last batches."""
    device_memory: tuple[int, int, int] | None = None
    """Bytes of an accelerator allocated, reserved, and there in all."""
    last_forward_age: float | None = None
    """Seconds since a batch was last computed; ``None`` before the first."""
    last_error: str | None = None
