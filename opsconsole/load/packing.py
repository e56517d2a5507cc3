"""A run as bytes: msgpack, deflated.

Its histograms lie in it as one row of small integers each (the gaps between buckets, and counts),
well under half of what their maps would take. Ticks beyond :data:`MOST_TICKS` are merged into
longer ones: a run of a night takes a few megabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from opsconsole.load.records import (
    Client,
    PhaseResult,
    Run,
    ServerSample,
    Tick,
    Totals,
    answers,
)
from opsconsole.load.thinning import thin

MOST_TICKS = 3600
"""Ticks that are stored of one run; more are merged."""

_GZIP = 31
"""Deflated with the CRC-32 of gzip: the sum of zlib's own format (Adler-32), which earlier versions
wrote, also holds for one damaged run in some thousands."""
_EITHER = 47
_LARGEST = 1 << 30
"""Bytes that an inflated run may have."""


def pack(run: Run) -> bytes:
    """The run as bytes, with at most about :data:`MOST_TICKS` ticks."""
    ticks = thin(run.ticks, MOST_TICKS)
    pressed = zlib.compressobj(6, wbits=_GZIP)
    head = _Head(
        run=msgspec.structs.replace(run, phases=[], ticks=[]),
        phases=len(run.phases),
        ticks=len(ticks),
    )
    # One record at a time: all of them at once would take many times their size.
    parts = [pressed.compress(_with_length(head))]
    parts += [pressed.compress(_with_length(_Phase.of(result))) for result in run.phases]
    parts += [pressed.compress(_with_length(_Tick.of(tick))) for tick in ticks]
    parts.append(pressed.flush())
    return b"".join(parts)


def unpack(data: bytes) -> Run:
    """The run that :func:`pack` packed.

    Raises:
        ValueError, zlib.error, msgspec.MsgspecError: it did not.
    """
    press = zlib.decompressobj(_EITHER)
    raw = memoryview(press.decompress(data, _LARGEST))
    if not press.eof:
        raise ValueError("cut short, or too large")
    records = _records(raw)
    head = msgspec.msgpack.decode(next(records, b""), type=_Head)
    run = head.run
    for _ in range(head.phases):
        run.phases.append(msgspec.msgpack.decode(next(records, b""), type=_Phase).back())
    for _ in range(head.ticks):
        run.ticks.append(msgspec.msgpack.decode(next(records, b""), type=_Tick).back())
    return run


def _with_length(record: Struct) -> bytes:
    data = msgspec.msgpack.encode(record)
    return len(data).to_bytes(4, "big") + data


def _records(raw: memoryview) -> Iterator[memoryview]:
    at = 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "big")
        if end > len(raw):
            raise ValueError("a record is cut short")
        yield raw[at + 4 : end]
        at = end


def pack_histogram(histogram: Histogram) -> bytes:
    """Total, sum, least, largest, then gap and count of every bucket, each as LEB128."""
    out = bytearray()
    for value in (histogram.total, histogram.sum, histogram.least, histogram.largest):
        _put(out, value)
    last = -1
    for key, count in sorted(histogram.counts.items()):
        _put(out, key - last - 1)
        _put(out, count)
        last = key
    return bytes(out)


def unpack_histogram(data: bytes) -> Histogram:
    """The histogram that :func:`pack_histogram` packed.

    Raises:
        ValueError: it is cut short, or its counts do not add up to its total.
    """
    values: list[int] = []
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            values.append(value)
            value = shift = 0
        else:
            shift += 7
    if shift or len(values) < 4 or len(values) % 2:
        raise ValueError("a histogram is cut short")
    counts: dict[int, int] = {}
    key = -1
    for gap, count in zip(values[4::2], values[5::2], strict=True):
        key += gap + 1
        counts[key] = count
    if sum(counts.values()) != values[0]:
        raise ValueError("a histogram's counts do not add up")
    return Histogram(counts, *values[:4])


def _put(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


class _Totals(Struct, array_like=True):
    """:class:`Totals` with packed histograms; a new field goes to the end and has a default."""

    sent: int
    ended: int
    good: int
    pairs: int
    bytes_out: int
    bytes_in: int
    errors: dict[str, int]
    upstreams: dict[str, int]
    response: bytes
    service: bytes
    first_byte: bytes
    after_good: int = 0
    after_ended: int = 0
    after_pairs: int = 0
    after_answered: int | None = None
    checked: int | None = None

    @staticmethod
    def of(totals: Totals) -> _Totals:
        return _Totals(
            totals.sent,
            totals.ended,
            totals.good,
            totals.pairs,
            totals.bytes_out,
            totals.bytes_in,
            totals.errors,
            totals.upstreams,
            pack_histogram(totals.response),
            pack_histogram(totals.service),
            pack_histogram(totals.first_byte),
            totals.after_good,
            totals.after_ended,
            totals.after_pairs,
            totals.after_answered,
            totals.checked,
        )

    def back(self) -> Totals:
        answered = self.after_answered
        if answered is None:  # of a version that did not tell: what cannot be known was answered
            answered = min(self.after_ended, self.good + answers(self.errors))
        found = Totals(
            self.sent,
            self.ended,
            self.good,
            self.pairs,
            self.bytes_out,
            self.bytes_in,
            self.errors,
            self.upstreams,
            unpack_histogram(self.response),
            unpack_histogram(self.service),
            unpack_histogram(self.first_byte),
            self.after_good,
            self.after_ended,
            self.after_pairs,
            answered,
        )
        # One that did not say took all answers for checked.
        found.checked = found.good + found.wrong if self.checked is None else self.checked
        return found


_NOTHING = pack_histogram(Histogram())


class _Client(Struct, array_like=True):
    due: int
    dropped: int
    in_flight: int
    cpu: float
    late: bytes
    failures: dict[str, int]
    retried: int = 0
    beats: bytes = _NOTHING
    stalled: float = 0.0
    busy: float = 0.0
    wanted: float = 0.0

    @staticmethod
    def of(client: Client) -> _Client:
        return _Client(
            client.due,
            client.dropped,
            client.in_flight,
            client.cpu,
            pack_histogram(client.late),
            client.failures,
            client.retried,
            pack_histogram(client.beats),
            client.stalled,
            client.busy,
            client.wanted,
        )

    def back(self) -> Client:
        return Client(
            self.due,
            self.dropped,
            self.in_flight,
            self.cpu,
            unpack_histogram(self.late),
            self.failures,
            self.retried,
            unpack_histogram(self.beats),
            self.stalled,
            self.busy,
            self.wanted,
        )


class _Phase(Struct, array_like=True):
    phase: Phase
    seconds: float
    totals: dict[str, _Totals]
    client: _Client
    idle: float = 0.0

    @staticmethod
    def of(result: PhaseResult) -> _Phase:
        totals = {name: _Totals.of(totals) for name, totals in result.totals.items()}
        client = _Client.of(result.client)
        return _Phase(result.phase, result.seconds, totals, client, result.idle)

    def back(self) -> PhaseResult:
        return PhaseResult(
            phase=self.phase,
            seconds=self.seconds,
            totals={name: totals.back() for name, totals in self.totals.items()},
            client=self.client.back(),
            idle=self.idle,
        )


class _Tick(Struct, array_like=True):
    at: float
    seconds: float
    phase: int
    totals: dict[str, _Totals]
    client: _Client
    servers: dict[str, ServerSample]
    since: float | None = None

    @staticmethod
    def of(tick: Tick) -> _Tick:
        totals = {name: _Totals.of(totals) for name, totals in tick.totals.items()}
        client = _Client.of(tick.client)
        return _Tick(tick.at, tick.seconds, tick.phase, totals, client, tick.servers, tick.since)

    def back(self) -> Tick:
        return Tick(
            at=self.at,
            seconds=self.seconds,
            phase=self.phase,
            totals={name: totals.back() for name, totals in self.totals.items()},
            client=self.client.back(),
            servers=self.servers,
            since=self.since,
        )


class _Head(Struct):
    """The first record: the run without its phases and ticks, and how many of them follow."""

    run: Run
    phases: int
    ticks: int
