"""Whether a reduced precision still ranks as float32 does."""

from __future__ import annotations

from opsconsole.engine.activation import activate
from opsconsole.engine.architecture import Architecture
from opsconsole.engine.backends.base import Backend
from opsconsole.engine.records import Agreement
from opsconsole.engine.sample import DOCUMENTS, QUERIES, kendall_tau
from opsconsole.engine.tokenizing import PairTokenizer

LEAST_AGREEMENT = 0.995
"""Kendall's tau from which a faster precision may be the default."""


def sample_scores(
    backend: Backend, architecture: Architecture, tokenizer: PairTokenizer
) -> list[list[float]]:
    """Scores of the sample's documents, for each of its queries; on the device thread."""
    if architecture.family == "cross-encoder":
        logits = [backend.launch(tokenizer.pairs(query, DOCUMENTS))() for query in QUERIES]
        return [[activate(logit, architecture.activation) for logit in each] for each in logits]
    queries = [architecture.query_prompt + query for query in QUERIES]
    documents = [architecture.document_prompt + document for document in DOCUMENTS]
    vectors = backend.launch(tokenizer.singles([*queries, *documents]))()
    documents_at = len(queries)
    return [backend.similarity(query, vectors[documents_at:]) for query in vectors[:documents_at]]


def agreement_of(reference: list[list[float]], other: list[list[float]]) -> Agreement:
    """How two scorings of the sample agree: tau averaged over the queries."""
    taus = [kendall_tau(a, b) for a, b in zip(reference, other, strict=True)]
    differences = [
        abs(a - b)
        for one, two in zip(reference, other, strict=True)
        for a, b in zip(one, two, strict=True)
    ]
    return Agreement(sum(taus) / len(taus), max(differences), len(differences))
