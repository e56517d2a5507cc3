"""Structured log lines, one JSON object each, that never get in the way of a request.

Lines go to a file descriptor in one ``write`` each: no buffer that a crash would lose, nothing to
flush into a full disk at exit, and a descriptor that SIGUSR1 can swap between two lines.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any

import msgspec

from opsconsole.server.settings import LogLevel

_RANK = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_MAX_TRACE = 16_000


class Record(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A log line with fields of its own; those that have their default value are left out.

    Those of a subclass come after these when it is ``kw_only`` too.
    """

    time: str = ""
    level: LogLevel
    message: str


class JsonLog:
    """Writes log lines; safe to use from any thread.

    Args:
        fd: Where to write; stays the same over :meth:`reopen`.
        level: Lines below it are dropped.
    """

    def __init__(self, fd: int = 2, level: LogLevel = "info") -> None:
        self.fd = fd
        self.lost = 0
        """Lines that could not be written since the last that could."""
        self._threshold = _RANK[level]
        self._torn = False
        self._why = ""
        self._stamp = -1, ""
        """The second that was formatted last, and how; one value, as threads share it."""
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def enabled(self, level: LogLevel) -> bool:
        """Whether lines of this level are written."""
        return _RANK[level] >= self._threshold

    def write(self, level: LogLevel, message: str, /, **fields: object) -> None:
        """One line; fields that are ``None`` are left out. Never raises for what the disk does."""
        if _RANK[level] < self._threshold:
            return
        record: dict[str, object] = {"time": self._now(), "level": level, "message": message}
        record.update({k: v for k, v in fields.items() if v is not None})
        self._append(self._encode(record))

    def put(self, record: Record) -> None:
        """One line, as :meth:`write` does it, for those that are written often."""
        if _RANK[record.level] < self._threshold:
            return
        record.time = self._now()
        try:
            line = self._encoder.encode(record) + b"\n"
        except UnicodeEncodeError:
            fields = msgspec.structs.asdict(record)
            line = self._encode({k: v for k, v in fields.items() if v is not None})
        self._append(line)

    def debug(self, message: str, /, **fields: object) -> None:
        self.write("debug", message, **fields)

    def info(self, message: str, /, **fields: object) -> None:
        self.write("info", message, **fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self.write("warning", message, **fields)

    def error(self, message: str, /, **fields: object) -> None:
        self.write("error", message, **fields)

    def reopen(self, path: str) -> None:
        """Make ``path`` standard output and error, so that a rotated file can be let go.

        When it cannot be opened, lines go on to the old file, which says so.
        """
        try:
            fresh = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.warning("the log cannot be opened anew", path=path, error=str(error))
            return
        try:
            with self._lock:
                os.dup2(fresh, 1)
                os.dup2(fresh, 2)
                self._torn = False
        finally:
            os.close(fresh)
        self.debug("log opened anew", path=path)

    def adopt(self) -> None:
        """Send what others say through here: ``logging``, warnings, uncaught exceptions."""
        bridge = _Bridge(self)
        logging.basicConfig(handlers=[bridge], level=logging.WARNING, force=True)
        logging.captureWarnings(True)
        logging.raiseExceptions = False

        def uncaught(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            self.error("uncaught exception", error=_summary(error), exception=trace_of(error))

        def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
            if args.exc_value is not None and args.exc_type is not SystemExit:
                name = args.thread.name if args.thread else None
                self.error(
                    "uncaught exception in a thread",
                    thread=name,
                    error=_summary(args.exc_value),
                    exception=trace_of(args.exc_value),
                )

        sys.excepthook = uncaught
        threading.excepthook = uncaught_in_thread

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        known, stamp = self._stamp
        if second != known:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._stamp = second, stamp
        return f"{stamp}.{int((now - second) * 1000):03d}Z"

    def _append(self, line: bytes) -> None:
        with self._lock:
            if self.lost:
                self._confess()
            self._write_out(line)

    def _encode(self, record: dict[str, object]) -> bytes:
        try:
            return self._encoder.encode(record) + b"\n"
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
            # A file name with lone surrogates, say: losing the line would be worse.
            safe = {
                k: str(v).encode("utf-8", "backslashreplace").decode() for k, v in record.items()
            }
            return self._encoder.encode(safe) + b"\n"

    def _confess(self) -> None:
        """Say how many lines are missing, before the first that can be written again."""
        count = self.lost
        record: dict[str, object] = {
            "time": self._now(),
            "level": "warning",
            "message": f"log lines lost: {count} ({self._why})",
            "lost_lines": count,
        }
        self.lost = 0 if self._write_out(self._encode(record)) else count

    def _write_out(self, line: bytes) -> bool:
        # After half a line, the next one starts on a line of its own.
        data = b"\n" + line if self._torn else line
        try:
            written = os.write(self.fd, data)
        except OSError as error:
            self.lost += 1
            self._why = error.strerror or str(error)
            return False
        if written < len(data):
            self.lost += 1
            self._torn = True
            self._why = "no room for a whole line"
            return False
        self._torn = False
        return True


def trace_of(error: BaseException) -> str:
    """A traceback as text, for the log only."""
    return "".join(traceback.format_exception(error))[-_MAX_TRACE:]


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


class _Bridge(logging.Handler):
    """Lines of the standard library's ``logging`` as ours."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level: LogLevel = "debug"
        if record.levelno >= logging.ERROR:
            level = "error"
        elif record.levelno >= logging.WARNING:
            level = "warning"
        elif record.levelno >= logging.INFO:
            level = "info"
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = trace_of(record.exc_info[1])
        try:
            message = record.getMessage().strip()
        except Exception as error:  # somebody's format string does not fit its arguments
            message = f"{record.msg} ({error})"
        self._log.write(level, message, **fields)
