"""What several dialects' answers have in common."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from opsconsole.server.wire.request import Ranking

ENCODER = msgspec.json.Encoder()


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens that were computed; those of cached pairs cost nothing and are not counted."""

    total_tokens: int
    prompt_tokens: int


def usage(rankings: Sequence[Ranking]) -> Usage:
    """What the rankings cost together."""
    tokens = sum(ranking.tokens for ranking in rankings)
    return Usage(tokens, tokens)


def warnings(ranking: Ranking) -> list[str]:
    """What the client should know about its answer."""
    if not ranking.truncated:
        return []
    return [f"documents cut to fit: {ranking.truncated}"]
