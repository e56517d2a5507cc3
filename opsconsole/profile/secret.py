"""Secrets: named in a profile, kept elsewhere, never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from opsconsole.errors import OpsError

_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Secret:
    """Where a secret is to be found: an environment variable or a file. Prints as ``***``.

    The value is read when it is used, so that a profile can be validated on a machine that does
    not hold its secrets, and so that it lives in memory as shortly as can be.
    """

    __slots__ = ("env", "file")

    def __init__(self, *, env: str | None = None, file: Path | None = None) -> None:
        self.env = env
        self.file = file

    @classmethod
    def parse(cls, value: object, folder: Path) -> Secret:
        """From ``${NAME}`` or ``{file: PATH}`` (relative to the profile's folder).

        Raises:
            ValueError: a secret in clear, or another shape.
        """
        if isinstance(value, str) and (match := _ENV.fullmatch(value.strip())):
            return cls(env=match[1])
        if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
            return cls(file=folder / Path(value["file"]).expanduser())
        if isinstance(value, str):
            raise ValueError(
                "a secret in clear is refused: write ${NAME} to take it from the environment, "
                "or {file: PATH}"
            )
        raise ValueError("expected ${NAME} or {file: PATH}")

    @property
    def source(self) -> str:
        """Where it comes from, in words that may be shown."""
        return f"${{{self.env}}}" if self.env else f"file {self.file}"

    def reveal(self, environ: Mapping[str, str] | None = None) -> str:
        """The secret itself.

        Raises:
            OpsError: the variable is not set, or the file cannot be read or is empty.
        """
        if self.env is not None:
            value = (os.environ if environ is None else environ).get(self.env, "")
            if not value:
                raise OpsError(f"secret {self.source} is not set", hint=f"export {self.env}=…")
            return value
        assert self.file is not None
        try:
            value = self.file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise OpsError(f"secret cannot be read: {reason}", where=str(self.file)) from None
        if not value:
            raise OpsError("the secret's file is empty", where=str(self.file))
        return value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.env, self.file) == (other.env, other.file)

    def __hash__(self) -> int:
        return hash((self.env, self.file))

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")
