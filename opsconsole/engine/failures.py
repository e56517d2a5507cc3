"""What a request can be refused for by the engine, apart from the model failing."""

from __future__ import annotations

from opsconsole.errors import OpsError


class InputTooLong(OpsError):
    """A text does not fit and the request forbids to cut it.

    Attributes:
        document: Index of the document; ``None`` when the query alone is too long.
    """

    def __init__(self, document: int | None, tokens: int, room: int) -> None:
        super().__init__(
            f"{_text(document)} has {tokens} tokens or more, {room} fit, and truncation is off",
            where="engine",
            hint="allow truncation, or send shorter texts",
        )
        self.document = document


class DeadlineMissed(OpsError):
    """The request's deadline came before its scores."""

    def __init__(self) -> None:
        super().__init__("the deadline of the request passed before its scores", where="engine")


class DeviceOutOfMemory(OpsError):
    """One input alone does not fit the device's memory.

    Attributes:
        document: Index of the document; ``None`` when it is the query.
    """

    def __init__(self, document: int | None, tokens: int) -> None:
        super().__init__(
            f"{_text(document)} of {tokens} tokens alone does not fit: the device is out of memory",
            where="engine",
            hint="send shorter texts, lower OPSCONSOLE_MAX_LENGTH, or free the device",
        )
        self.document = document


def _text(document: int | None) -> str:
    return "the query" if document is None else f"document {document}"
