"""Requests and answers as they travel, and the one form in which the server thinks of them.

A dialect reads its body into :class:`RankRequest` and writes :class:`Ranking` as its answer;
nothing else knows about fields.
"""

from opsconsole.server.wire.cohere import CohereV2Dialect
from opsconsole.server.wire.nim import NimDialect
from opsconsole.server.wire.request import (
    Asked,
    Dialect,
    Limits,
    Ranking,
    RankRequest,
    best_first,
)
from opsconsole.server.wire.rerank import RerankDialect
from opsconsole.server.wire.score import ScoreDialect

__all__ = [
    "Asked",
    "CohereV2Dialect",
    "Dialect",
    "Limits",
    "NimDialect",
    "RankRequest",
    "Ranking",
    "RerankDialect",
    "ScoreDialect",
    "best_first",
]
