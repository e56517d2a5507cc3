"""One log line: raw bytes until somebody looks, then clean text, a level and a time."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from opsconsole.text import Span, clean, spans

Level = Literal["error", "warning", "info", "debug"]
SEVERITY: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

MAX_LINE = 1 << 20
"""Bytes after which a line is cut into pieces, here and in the follower."""
_MAX_JSON = 1 << 16
_HEAD = 4096
_WORD_HEAD = 240

_LEVELS: dict[str, Level] = {
    **dict.fromkeys(("trace", "debug", "verbose", "dbg"), "debug"),
    **dict.fromkeys(("info", "notice", "information", "inf"), "info"),
    **dict.fromkeys(("warn", "warning", "wrn"), "warning"),
    **dict.fromkeys(
        ("err", "error", "severe", "crit", "critical", "fatal", "alert", "emerg", "panic"), "error"
    ),
}
_JSON_LEVEL = re.compile(
    rb'"(?:level|severity|lvl|levelname|log\.level|log_level)"\s*:\s*(?:"([A-Za-z]+)"|(\d+))'
)
# No \\b in front: the regex engine then jumps from one of these capitals to the next.
_CAPITALS = re.compile(
    rb"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|ALERT|EMERG"
    rb"|PANIC)(?![A-Za-z0-9_])"
)
_LOGFMT = re.compile(rb'\b(?:level|lvl|severity)="?([A-Za-z]+)')
_START = re.compile(
    rb"(?:[^\[\w]|\d)*\[?(?P<word>trace|debug|info|warn(?:ing)?|err(?:or)?|critical|fatal|panic)[\]:]"
    rb"|(?P<glog>[EWIDF])\d{4} \d\d:\d\d:\d\d"
    rb"|(?P<raised>Traceback \(most recent call last\)|(?:[A-Za-z_][\w.]*)?(?:Error|Exception)\b)"
)
_WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_GLOG: dict[bytes, Level] = {
    b"E": "error",
    b"F": "error",
    b"W": "warning",
    b"I": "info",
    b"D": "debug",
}
_SGR = re.compile(rb"\x1b\[[0-9;:]*m")
_JSON_TIME = re.compile(rb'"(?:time|timestamp|ts|@timestamp)"\s*:\s*(?:"([^"]{1,40})"|([\d.]+))')
_ISO = re.compile(
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d)(?![\d:]))?"
)
_PLAIN = re.compile(r"[^\s\"=]+")


def detect_level(raw: bytes) -> Level | None:
    """The severity a line states itself, or None; looks at its first bytes only."""
    if raw[:1] == b"{":
        found = _JSON_LEVEL.search(raw, 0, _HEAD)
        if found is None:
            return None
        if found[2] is not None:  # bunyan and pino: 10 trace … 60 fatal
            number = int(found[2][:6])
            return (
                "error"
                if number >= 50
                else ("warning" if number >= 40 else ("info" if number >= 30 else "debug"))
            )
        return _LEVELS.get(found[1].decode().lower())
    head = raw[:_WORD_HEAD]
    if b"\x1b" in head:
        head = _SGR.sub(b"", head)
    if b"l=" in head or b"severity=" in head:
        found = _LOGFMT.search(head)
        if found is not None:
            return _LEVELS.get(found[1].decode().lower())
    found = _CAPITALS.search(head)
    while found is not None:
        if found.start() == 0 or head[found.start() - 1] not in _WORD_BYTES:
            return _LEVELS[found[0].decode().lower()]
        found = _CAPITALS.search(head, found.end())
    found = _START.match(head)
    if found is None:
        return None
    if found["raised"]:
        return "error"
    return _GLOG[found["glog"]] if found["glog"] else _LEVELS[found["word"].decode()]


def line_time(raw: bytes) -> float | None:
    """Unix seconds a line states itself, or None; a time without a zone counts as local."""
    if raw[:1] == b"{":
        found = _JSON_TIME.search(raw, 0, _HEAD)
        if found is None:
            return None
        if found[2] is not None:
            return _unix(found[2].decode())
        stamp = found[1].decode("utf-8", "replace")
    else:
        found = _ISO.search(raw, 0, 80)
        if found is None:
            return None
        stamp = found[0].decode()
    moment = _iso(stamp)
    try:
        return moment.timestamp() if moment is not None else None
    except (OverflowError, ValueError, OSError):
        return None


def _unix(number: float | str) -> float | None:
    """Unix seconds from seconds or milliseconds."""
    try:
        seconds = float(number)
    except ValueError:
        return None
    return seconds / 1000 if seconds > 1e11 else seconds


def _iso(stamp: str) -> datetime | None:
    try:
        return datetime.fromisoformat(stamp.replace(",", ".").replace(" Z", "Z"))
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _clock_at(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _clock(stamp: Any) -> str:
    """``HH:MM:SS`` in local time; what cannot be read as a time stays as it is."""
    try:
        if isinstance(stamp, (int, float)):
            return _clock_at(int(_unix(stamp) or 0))
        moment = _iso(str(stamp))
        if moment is None:
            return str(stamp)
        return (moment.astimezone() if moment.tzinfo else moment).strftime("%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(stamp)


def _value(value: Any) -> str:
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is float:
        return f"{value:.6g}"
    if kind is str:
        return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return msgspec.json.encode(value).decode()


def _short_form(raw: bytes) -> str | None:
    """Our own JSON log line as ``HH:MM:SS LEVEL message key=value…``; None for any other line."""
    if raw[:1] != b"{" or len(raw) > _MAX_JSON or b'"message"' not in raw:
        return None
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    if not isinstance(record, dict):
        return None
    stamp, level, message = (record.pop(key, None) for key in ("time", "level", "message"))
    if stamp is None or not isinstance(level, str) or not isinstance(message, str):
        return None
    parts = [_clock(stamp), level.upper(), message]
    parts.extend(f"{key}={_value(value)}" for key, value in record.items())
    return " ".join(parts)


class LogLine:
    """A line of one source; text and level are worked out when first asked for.

    The view holds hundreds of thousands of lines and shows fifty: nothing is decoded before.

    Args:
        source: Which log it came from.
        raw: The bytes as written, without the line end.
    """

    __slots__ = ("_level", "_text", "raw", "source")

    def __init__(self, source: str, raw: bytes) -> None:
        self.source = source
        self.raw = raw
        self._text: str | None = None
        self._level: Level | Literal[""] | None = ""

    def __repr__(self) -> str:
        return f"LogLine({self.source!r}, {self.raw[:80]!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LogLine) and (self.source, self.raw) == (other.source, other.raw)

    def __hash__(self) -> int:
        return hash((self.source, self.raw))

    def _decoded(self, limit: int | None) -> str:
        """Unsafe text: decoded, our own JSON in its short form, at most ``limit`` characters."""
        raw = self.raw
        short = _short_form(raw)
        if short is None:
            if limit is not None and len(raw) > 4 * limit:
                raw = raw[: 4 * limit]
            short = raw.rstrip(b"\r").decode("utf-8", "replace")
        if "\t" in short:
            short = short[:limit].expandtabs(8)
        if "\n" in short:
            short = short.replace("\r\n", "\n").replace("\n", "⏎")
        return short[:limit]

    @property
    def text(self) -> str:
        """Safe text on one line; our own JSON lines in their short form."""
        if self._text is None:
            self._text = clean(self._decoded(None))
        return self._text

    def head(self, limit: int) -> str:
        """Safe text of the first ``limit`` characters, for what must not wait for a megabyte."""
        return clean(self._decoded(limit))

    @property
    def level(self) -> Level | None:
        """What the line states itself; None when it states nothing."""
        if self._level == "":
            self._level = detect_level(self.raw)
        return self._level

    def spans(self, limit: int | None = None) -> list[Span]:
        """Safe text cut at its colour sequences, of the first ``limit`` characters."""
        return spans(self._decoded(limit))

    def head_spans(self, limit: int) -> tuple[list[Span], bool]:
        """:meth:`spans` of the first ``limit`` characters, and whether there are more."""
        decoded = self._decoded(limit + 1)
        return spans(decoded[:limit]), len(decoded) > limit
