"""A server's log file: rotation, and its last words."""

from __future__ import annotations

import json
import os

_TAIL_BYTES = 65_536


def size(path: str) -> int | None:
    """Bytes in the file; ``None`` when there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def rotate(path: str, keep: int) -> None:
    """Rename ``path`` to ``path.1``, ``.1`` to ``.2``, and so on; drop what exceeds ``keep``.

    The writer goes on in the renamed file until it reopens ``path``, so no line is lost.

    Raises:
        OSError: the folder cannot be written; every file still has one of its names.
    """
    for number in range(keep, 1, -1):
        try:
            os.replace(f"{path}.{number - 1}", f"{path}.{number}")
        except FileNotFoundError:
            continue
    os.replace(path, f"{path}.1")


def last_lines(path: str, count: int) -> list[str]:
    """The last ``count`` lines, also from the file before when this one has just been rotated."""
    lines: list[bytes] = []
    for name in (path, f"{path}.1"):
        if len(lines) < count:
            lines = _tail(name)[-(count - len(lines)) :] + lines
    return [line.decode("utf-8", "replace").rstrip() for line in lines]


def _tail(path: str) -> list[bytes]:
    try:
        with open(path, "rb", buffering=0) as stream:
            end = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, end - _TAIL_BYTES))
            data = stream.read(_TAIL_BYTES)
    except OSError:
        return []
    return [line for line in data.splitlines() if line.strip()]


def reason(lines: list[str]) -> str:
    """Why a server ended, by its own words: its last error line, else its last line."""
    for line in reversed(lines):
        message, level = _message(line)
        if level in ("error", "critical", "fatal"):
            return message[:300]
    return _message(lines[-1])[0][:300] if lines else ""


def _message(line: str) -> tuple[str, str]:
    if line.startswith("{"):
        try:
            data = json.loads(line)
        except ValueError:
            data = None
        if isinstance(data, dict):
            level = str(data.get("level", "")).lower()
            for key in ("message", "msg", "event", "error"):
                if isinstance(data.get(key), str) and data[key]:
                    # Our own server says what to do, too; see opsconsole.errors.
                    hint = data.get("hint")
                    told = not isinstance(hint, str) or hint in data[key]
                    more = "" if told else f" ({hint})"
                    return data[key] + more, level
            return line, level
    head = line.lower()[:120]
    wrong = any(word in head for word in ("error", "critical", "fatal"))
    return line, "error" if wrong else ""
