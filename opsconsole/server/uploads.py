"""How much of all bodies together may lie in memory while they arrive."""

from __future__ import annotations

from types import TracebackType

from opsconsole.server.errors import RequestError

KEY = "opsconsole.uploads"
"""Where in ``scope["state"]`` the budget of the whole server is found."""


class Uploads:
    """The bytes of all bodies that are being received, up to ``most``.

    The body that is alone passes whatever its size: only its own limit holds for it then.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0

    def one(self) -> Upload:
        """A body that begins to arrive; a context manager that gives its bytes back."""
        return Upload(self)


class Upload:
    """What one body holds of it."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._size = 0

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._uploads.used -= self._size

    def add(self, size: int) -> None:
        """Count ``size`` bytes that came.

        Raises:
            RequestError: 503, others hold the rest.
        """
        uploads = self._uploads
        self._size += size
        uploads.used += size
        if uploads.used > uploads.most and uploads.used > self._size:
            raise RequestError(
                503,
                "overloaded",
                f"bodies of over {uploads.most} bytes are being received, which is all that this "
                "server takes at a time",
                retry_after=1,
            )
