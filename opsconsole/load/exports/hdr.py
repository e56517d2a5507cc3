"""A run as an HdrHistogram log (format 1.3), its histograms in the compressed V2 encoding.

Our buckets are those of an HdrHistogram of nanoseconds with two significant digits, so the counts
pass as they are. https://github.com/HdrHistogram/HdrHistogram, ``AbstractHistogram.java`` and
``HistogramLogWriter.java``.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from opsconsole.load.histogram import Histogram
from opsconsole.load.records import Run, Tick, Totals
from opsconsole.text import clean_line

_COOKIE = 0x1C849303 | 0x10
_COMPRESSED_COOKIE = 0x1C849304 | 0x10
_DIGITS = 2
_HOUR = 3_600_000_000_000


def as_hdr(run: Run) -> str:
    """A line a measured tick and tag; times since the run's start, values in nanoseconds.

    Without a tag: response time of all servers. Tags: ``service``, ``first_byte``, and
    ``server.NAME`` for the response times of each of several servers.
    """
    start = f"{run.at:.3f} (seconds since epoch)"
    lines = [
        "#[Histogram log format version 1.3]",
        f"#[opsconsole load test {clean_line(run.plan.name, 60)}, run {run.id}: values are "
        "nanoseconds, Interval_Max is milliseconds, warm-up is left out]",
        f"#[StartTime: {start}, {datetime.fromtimestamp(run.at, UTC):%a %b %d %H:%M:%S UTC %Y}]",
        f"#[BaseTime: {start}]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    for tick in run.ticks:
        if not 0 <= tick.phase < len(run.phases) or not run.phases[tick.phase].phase.measured:
            continue
        for tag, histogram in _tagged(tick, several=len(run.servers) > 1):
            head = f"Tag={tag}," if tag else ""
            lines.append(
                f"{head}{tick.at:.3f},{tick.seconds:.3f},{histogram.largest / 1e6:.3f},"
                f"{encode(histogram)}"
            )
    return "\n".join(lines) + "\n"


def _tagged(tick: Tick, *, several: bool) -> Iterator[tuple[str, Histogram]]:
    totals: Totals = tick.all()
    yield "", totals.response
    yield "service", totals.service
    if totals.first_byte.total:
        yield "first_byte", totals.first_byte
    if several:
        for name, one in tick.totals.items():
            yield "server." + re.sub(r"[^\w.:-]", "_", clean_line(name, 60)), one.response


def encode(histogram: Histogram) -> str:
    """The histogram in base64: V2, deflated."""
    payload = _counts(histogram)
    highest = max(_HOUR, 1 << max(histogram.largest, 1).bit_length())
    # cookie, length, normalising offset, digits, lowest and highest trackable, conversion ratio
    plain = struct.pack(">Iiiiqqd", _COOKIE, len(payload), 0, _DIGITS, 1,
                        highest, 1.0) + payload  # fmt: skip
    pressed = zlib.compress(plain)
    return base64.b64encode(struct.pack(">Ii", _COMPRESSED_COOKIE, len(pressed)) + pressed).decode()


def _counts(histogram: Histogram) -> bytes:
    """Counts in the order of their buckets, zigzag LEB128; a run of n empty ones is -n."""
    out = bytearray()
    following = 0
    for key, count in sorted(histogram.counts.items()):
        if key > following:
            _put(out, following - key)
        _put(out, count)
        following = key + 1
    return bytes(out)


def _put(out: bytearray, value: int) -> None:
    """Nine bytes at most, the ninth with eight bits: ZigZagEncoding.java."""
    value = (value << 1) ^ (value >> 63)
    for _ in range(8):
        if value < 0x80:
            out.append(value)
            return
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0xFF)
