"""Reading logs: the end of a file, following it, a bounded buffer, filters and search."""

from __future__ import annotations

from opsconsole.logs.buffer import LogBuffer
from opsconsole.logs.follow import Follower, OlderLines, rotated
from opsconsole.logs.index import LineIndex
from opsconsole.logs.line import MAX_LINE, SEVERITY, Level, LogLine, detect_level, line_time
from opsconsole.logs.merge import merge_by_time
from opsconsole.logs.query import Filter, LineTest, Pattern, level_test, pattern_test
from opsconsole.logs.tail import (
    Found,
    Page,
    find_backward,
    find_forward,
    read_before,
    read_tail,
    tail,
)

__all__ = [
    "MAX_LINE",
    "SEVERITY",
    "Filter",
    "Follower",
    "Found",
    "Level",
    "LineIndex",
    "LineTest",
    "LogBuffer",
    "LogLine",
    "OlderLines",
    "Page",
    "Pattern",
    "detect_level",
    "find_backward",
    "find_forward",
    "level_test",
    "line_time",
    "merge_by_time",
    "pattern_test",
    "read_before",
    "read_tail",
    "rotated",
    "tail",
]
