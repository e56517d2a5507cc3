"""What the engine says about itself and its work; immutable, free of torch."""

from __future__ import annotations

from typing import Literal

import msgspec

Family = Literal["bi-encoder", "cross-encoder"]
"""A bi-encoder's score is the cosine of two vectors, a cross-encoder reads both texts at once."""


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
    max_length: int
    """Most tokens of one input; the rest is cut off."""
    parameters: int
    load_seconds: float = 0.0


class EngineStats(msgspec.Struct, frozen=True):
    """Counters since the engine was loaded."""

    pairs: int = 0
    """Pairs answered, by the model or from the cache."""
    batches: int = 0
    tokens_real: int = 0
    tokens_padded: int = 0
    """Positions computed, padding included."""
    cache_hits: int = 0
    cache_misses: int = 0
    cache_entries: int = 0
    cache_bytes: int = 0
    failures: int = 0
    """Requests that ended with an error; cancelled ones are not counted."""
    consecutive_failures: int = 0
    """Failures since the last request that succeeded."""
    out_of_memory: int = 0
    """Batches that did not fit the device and were halved."""
    last_forward_age: float | None = None
    """Seconds since a batch was last computed; ``None`` before the first."""
    last_error: str | None = None
