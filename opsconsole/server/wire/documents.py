"""Documents as Cohere's and Jina's clients send them: texts, or objects with a ``text``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from opsconsole.server.wire.reading import decode, wrong


class DocumentObject(msgspec.Struct, gc=False):  # a body may hold a million of them
    """A document with fields of the client's own, which come back with it."""

    text: Annotated[
        str | UnsetType, Meta(description="Required, but for a request with `rank_fields`.")
    ] = UNSET


class DocumentText(msgspec.Struct, frozen=True, gc=False):
    """A document of nothing but its text."""

    text: str


_EXAMPLE = ["Berlin has 3.7 million inhabitants.", {"text": "Bananas are yellow."}]
Documents = Annotated[
    list[str | DocumentObject],
    Meta(
        description="Texts, or objects with a `text`; their other fields come back with them.",
        examples=[_EXAMPLE],
    ),
]
TextDocuments = Annotated[
    list[str | DocumentText],
    Meta(description="Texts, or objects with a `text`.", examples=[_EXAMPLE]),
]
"""Of routes without ``rank_fields``."""


class _Kept(msgspec.Struct):
    documents: list[str | dict[str, Any]]


_KEPT = msgspec.json.Decoder(_Kept)


def text_of(documents: Sequence[str | DocumentObject | DocumentText]) -> list[str]:
    """The texts to rank.

    Raises:
        RequestError: 422 an object has no ``text``.
    """
    texts = [one if isinstance(one, str) else one.text for one in documents]
    if UNSET in texts:
        raise wrong(f"documents[{texts.index(UNSET)}].text", "required, but missing")
    return cast("list[str]", texts)


def kept(documents: list[str | DocumentObject], body: bytes) -> list[Any]:
    """The documents as they are given back: objects with all of their fields.

    Objects are decoded a second time, whole: whoever sends texts alone pays nothing for them.

    Raises:
        RequestError: 422 a further field holds a number that JSON can say and nobody can hold.
    """
    given = documents if DocumentObject not in map(type, documents) else None
    return [
        DocumentText(one) if isinstance(one, str) else one
        for one in given or decode(_KEPT, body).documents
    ]


def text_of_fields(body: bytes, fields: list[str]) -> list[str]:
    """The texts to rank when only some fields of objects count (Cohere v1's ``rank_fields``).

    The values are joined by line breaks, in the order of ``fields``; those that a document lacks
    are passed over.

    Raises:
        RequestError: 422 a document has none of the fields, or one is no text, number or boolean.
    """
    texts = []
    for i, document in enumerate(decode(_KEPT, body).documents):
        if isinstance(document, str):
            texts.append(document)
            continue
        parts = []
        for name in fields:
            value = document.get(name)
            if value is None:
                continue
            if isinstance(value, (list, dict)):
                raise wrong(f"documents[{i}].{name}", "expected text")
            parts.append(value if isinstance(value, str) else msgspec.json.encode(value).decode())
        if not parts:
            raise wrong(f"documents[{i}]", "has none of the fields of rank_fields")
        texts.append("\n".join(parts))
    return texts
