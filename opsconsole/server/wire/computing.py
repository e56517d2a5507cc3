"""The fields by which clients of any kind say how their pairs are to be computed.

Every dialect takes all of them: clients mix them, and their names do not collide.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from opsconsole.engine.records import Options, Side
from opsconsole.server.wire.reading import any_case, wrong

Activation = Literal["default", "sigmoid", "none"]

NO_LIMIT = 1 << 30
"""Token limits above it are none: no model comes near, and tokenizers count in 64 bits at most."""
HIGH, NORMAL, LOW = 4.0, 1.0, 0.25
"""Shares of the device of requests that say, in body or header, to come before or after others."""
_SIDES: dict[str, Side] = {"left": "left", "right": "right", "start": "left", "end": "right"}
_PLAIN = Options()

Count = Annotated[int, Meta(ge=0)]
_Word = Annotated[str, Meta(extra_json_schema={"pattern": any_case("none", "start", "end")})]
_End = Annotated[str, Meta(extra_json_schema={"pattern": any_case("left", "right")})]


class Computing(msgspec.Struct, kw_only=True):
    """How the pairs are to be computed; ``null`` is as good as missing everywhere."""

    model: Annotated[
        str | None,
        Meta(description="Ignored: the answer names the model that this server has."),
    ] = None
    truncate: Annotated[
        bool | _Word | None,
        Meta(
            description="Texts that do not fit the model are cut: `true` or `END` at their end "
            "(the default), `START` at their start. `false` or `NONE`: they are refused with 422 "
            "`input_too_long`.",
            examples=[True],
        ),
    ] = None
    truncation: Annotated[
        bool | None, Meta(description="Jina's and Voyage's name for `truncate`.")
    ] = None
    truncation_direction: Annotated[
        _End | None, Meta(description="TEI's: `right` or `left`: the end that is cut off.")
    ] = None
    truncation_side: Annotated[
        _End | None, Meta(description="vLLM's name for `truncation_direction`.")
    ] = None
    truncate_prompt_tokens: Annotated[
        Annotated[int, Meta(ge=-1)] | None,
        Meta(description="vLLM's: documents are cut to so many tokens; -1: to the model's limit."),
    ] = None
    max_tokens_per_doc: Annotated[
        Count | None,
        Meta(description="Each document is first cut to so many tokens; 0 for no such limit."),
    ] = None
    max_tokens_per_query: Annotated[
        Count | None,
        Meta(description="The query is first cut to so many tokens; 0 for no such limit."),
    ] = None
    max_chunks_per_doc: Annotated[
        Count | None,
        Meta(
            description="Over 1: a document that does not fit is split into up to so many chunks, "
            "and its score is that of the best. 0 and 1: it is cut."
        ),
    ] = None
    raw_scores: Annotated[
        bool | None,
        Meta(
            description="`true`: the model's logits; `false`: probabilities. Default: as the "
            "model's reference computes them, for `texts` probabilities."
        ),
    ] = None
    use_activation: Annotated[
        bool | None, Meta(description="vLLM's: `false` is `raw_scores: true`.")
    ] = None
    activation: Annotated[
        bool | None, Meta(description="Older vLLM's name for `use_activation`.")
    ] = None
    softmax: Annotated[
        bool | None, Meta(description="Oldest vLLM's name for `use_activation`.")
    ] = None
    priority: Annotated[
        int | None,
        Meta(
            description="Cohere's and vLLM's: above 0 after other requests, below 0 before them. "
            "The header `X-Request-Priority` wins."
        ),
    ] = None

    def options(self, activation: Activation = "default") -> Options:
        """For the engine; ``activation`` is the dialect's own, when none is asked for.

        Raises:
            RequestError: 422 a word that means nothing.
        """
        truncate, side = self._truncation()
        per_doc = _limit(self.max_tokens_per_doc)
        whole = _limit(self.truncate_prompt_tokens)
        if whole is not None:
            per_doc = whole if per_doc is None else min(per_doc, whole)
        found = Options(
            truncate=truncate,
            truncation_side=side,
            max_tokens_per_query=_limit(self.max_tokens_per_query),
            max_tokens_per_doc=per_doc,
            max_chunks_per_doc=min(self.max_chunks_per_doc or 1, NO_LIMIT),
            activation=self._activation(activation),
            weight=_weight(self.priority),
        )
        # One object for nearly all requests: the engine and the cache compare it at once.
        return _PLAIN if found == _PLAIN else found

    def _truncation(self) -> tuple[bool, Side | None]:
        side: Side | None = None
        for name in ("truncation_side", "truncation_direction"):
            word = getattr(self, name)
            if word is not None:
                if word.lower() not in ("left", "right"):
                    raise wrong(name, "expected left or right")
                side = _SIDES[word.lower()]
        truncate = self.truncation if self.truncate is None else self.truncate
        if isinstance(truncate, str):
            word = truncate.lower()
            if word == "none":
                return False, side
            if word not in ("start", "end"):
                raise wrong("truncate", "expected true, false, NONE, START or END")
            return True, _SIDES[word]
        return truncate is not False, side

    def _activation(self, default: Activation) -> Activation:
        if self.raw_scores is not None:
            return "none" if self.raw_scores else "sigmoid"
        for use in (self.use_activation, self.activation, self.softmax):
            if use is not None:
                return "default" if use else "none"
        return default


def _limit(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 < tokens <= NO_LIMIT else None


def _weight(priority: int | None) -> float:
    if not priority:
        return NORMAL
    return LOW if priority > 0 else HIGH
