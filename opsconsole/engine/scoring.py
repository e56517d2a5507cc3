"""From a request to the inputs a model must compute, and from its outputs back to scores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from opsconsole.engine.activation import activate
from opsconsole.engine.architecture import Architecture
from opsconsole.engine.backends.base import Vector
from opsconsole.engine.cache import ScoreCache, text_keys
from opsconsole.engine.embeddings import EmbeddingCache
from opsconsole.engine.job import Job, Work
from opsconsole.engine.reading import Reading
from opsconsole.engine.records import Options, Scores
from opsconsole.errors import OpsError

Similarity = Callable[[Vector, Sequence[Vector]], list[float]]


class Scoring:
    """Turns jobs into work, and the work's outputs into scores. Thread-safe.

    Args:
        architecture: The model's.
        read: Begins to tokenise a job's documents.
        similarity: A bi-encoder's score of the query with documents; runs on the device thread.
        cache: Raw scores of pairs seen before, if they are kept.
        embeddings: A bi-encoder's vectors of documents seen before, if they are kept.
    """

    def __init__(
        self,
        architecture: Architecture,
        read: Callable[[Job, dict[str, bytes]], Reading],
        similarity: Similarity,
        cache: ScoreCache | None,
        embeddings: EmbeddingCache | None,
    ) -> None:
        self._architecture = architecture
        self._read = read
        self._similarity = similarity
        self._cache = cache
        self._embeddings = embeddings

    def recall(self, job: Job) -> Scores | None:
        """The whole answer, if the cache has it. Takes microseconds a document."""
        documents = job.documents
        if not documents:
            return Scores([])
        if self._cache is None:
            return None
        raw = self._cache.get_many(text_keys(job.options, job.query, documents))
        known = [score for score in raw if score is not None]
        if len(known) < len(documents):
            return None
        return Scores(self._activate(known, job.options), cache_hits=len(known))

    def prepare(self, job: Job) -> Generator[None, None, tuple[Work, Reading]]:
        """Look up and tokenise a job's texts; identical documents become one.

        Yields:
            Between slices of the texts: the time to see to other jobs, or to end.

        Returns:
            The work, and the inputs whose outputs it waits for.

        Raises:
            InputTooLong: a text does not fit and may not be cut.
        """
        seconds = -time.monotonic()
        documents, options = job.documents, job.options
        distinct = list(dict.fromkeys(documents))
        keys = dict(zip(distinct, text_keys(options, job.query, distinct), strict=True))
        known: dict[str, float] = {}
        if self._cache is not None:
            known = _found(distinct, self._cache.get_many(list(keys.values())))
        wanted = [document for document in distinct if document not in known]
        vectors: dict[str, list[Vector]] = {}
        if self._architecture.family == "cross-encoder":
            reading = self._read(job, {document: keys[document] for document in wanted})
        else:
            texts = dict(zip(wanted, text_keys(options, None, wanted), strict=True))
            if self._embeddings is not None:
                vectors = _found(wanted, self._embeddings.get_many(list(texts.values())))
            unread = {d: key for d, key in texts.items() if d not in vectors}
            reading = self._read(job, unread)
        for _ in reading.slices():
            seconds += time.monotonic()
            yield
            seconds -= time.monotonic()
        cut = reading.truncated
        base = Scores(
            values=[],
            truncated=sum(document in cut for document in documents) if cut else 0,
            cache_hits=sum(document in known for document in documents) if known else 0,
            tokenize_seconds=seconds + time.monotonic(),
        )

        def finish(outputs: list[Any]) -> list[float]:
            raw = self._raw(outputs, reading, vectors)
            if self._cache is not None:
                self._cache.put_many([(keys[document], score) for document, score in raw.items()])
            scores = known | raw
            return self._activate([scores[document] for document in documents], options)

        return Work(len(reading.inputs), finish, reading.document_of, base), reading

    def _raw(
        self, outputs: list[Any], reading: Reading, vectors: dict[str, list[Vector]]
    ) -> dict[str, float]:
        """Each computed document's logit or similarity: the best of its pieces."""
        if not reading.parts and not vectors:
            return {}  # the cache came to know all of it meanwhile
        embedded: list[Vector] = []
        if self._architecture.family == "cross-encoder":
            parts = reading.parts
            values: list[float] = outputs
        else:
            query, *embedded = outputs
            parts = {}
            for document, span in reading.parts.items():
                parts[document] = slice(span.start - 1, span.stop - 1)  # the query came first
            for document, known in vectors.items():
                parts[document] = slice(len(embedded), len(embedded) + len(known))
                embedded += known
            values = self._similarity(query, embedded)
        if not all(map(math.isfinite, values)):
            raise OpsError(
                "the model computed a score that is not a number",
                hint="its weights are broken, or the input is beyond what it can represent",
            )
        if self._embeddings is not None:
            for document in reading.parts:
                self._embeddings.put(reading.keys[document], embedded[parts[document]])
        return {document: max(values[span]) for document, span in parts.items()}

    def _activate(self, raw: list[float], options: Options) -> list[float]:
        if self._architecture.family != "cross-encoder" or options.activation == "none":
            return raw
        if options.activation == "sigmoid":
            return [activate(logit, "sigmoid") for logit in raw]
        activation = self._architecture.activation
        return raw if activation == "identity" else [activate(logit, activation) for logit in raw]


def _found(texts: list[str], values: Sequence[Any | None]) -> dict[str, Any]:
    return {t: value for t, value in zip(texts, values, strict=True) if value is not None}
