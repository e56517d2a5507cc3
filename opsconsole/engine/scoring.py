"""From a request to the rows a model must compute, and from its outputs back to scores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from opsconsole.engine.architecture import Architecture
from opsconsole.engine.backends.base import Vector
from opsconsole.engine.cache import ScoreCache, pair_key
from opsconsole.engine.job import Job, Work
from opsconsole.engine.records import Scores
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.errors import OpsError

Similarity = Callable[[Vector, Sequence[Vector]], list[float]]


class Preparation:
    """Turns jobs into work; identical documents of a request are computed once. Thread-safe.

    Args:
        architecture: The model's.
        tokenizer: Its tokenizer.
        similarity: A bi-encoder's score of the query with documents; runs on the device thread.
        cache: Scores of pairs seen before, if they are kept.
    """

    def __init__(
        self,
        architecture: Architecture,
        tokenizer: PairTokenizer,
        similarity: Similarity,
        cache: ScoreCache | None,
    ) -> None:
        self._architecture = architecture
        self._tokenizer = tokenizer
        self._similarity = similarity
        self._cache = cache

    def prepare(self, job: Job) -> Work:
        """Look up and tokenise a job's pairs; a job that the cache answers has no rows."""
        began = time.monotonic()
        query, documents = job.query, job.documents
        distinct = list(dict.fromkeys(documents))
        known: dict[str, float] = {}
        keys: dict[str, bytes] = {}
        if self._cache is not None:
            keys = {document: pair_key(query, document) for document in distinct}
            found = self._cache.get_many(list(keys.values()))
            known = {d: s for d, s in zip(distinct, found, strict=True) if s is not None}
        wanted = [document for document in distinct if document not in known]
        if not wanted:
            rows = []
        elif self._architecture.family == "cross-encoder":
            rows = self._tokenizer.pairs(query, wanted)
        else:
            prompts = self._architecture
            texts = [prompts.document_prompt + document for document in wanted]
            rows = self._tokenizer.singles([prompts.query_prompt + query, *texts])
        cut = {d for d, row in zip(wanted, rows[len(rows) - len(wanted) :], strict=True) if row[2]}

        def finish(outputs: list[Any]) -> list[float]:
            computed = self._score(outputs)
            if not all(map(math.isfinite, computed)):
                raise OpsError(
                    "the model computed a score that is not a number",
                    hint="its weights are broken, or the input is beyond what it can represent",
                )
            scores = known | dict(zip(wanted, computed, strict=True))
            if self._cache is not None:
                self._cache.put_many((keys[d], scores[d]) for d in wanted)
            return [scores[document] for document in documents]

        base = Scores(
            values=[],
            tokens=sum(len(row.ids) for row in rows),
            truncated=sum(document in cut for document in documents),
            cache_hits=sum(document in known for document in documents),
            tokenize_seconds=time.monotonic() - began,
        )
        return Work(rows, finish, base)

    def _score(self, outputs: list[Any]) -> list[float]:
        if self._architecture.family == "cross-encoder" or not outputs:
            return outputs
        return self._similarity(outputs[0], outputs[1:])
