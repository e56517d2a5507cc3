"""Every run is kept: ``loads/ID/run.bin`` holds all of it, ``summary.json`` what a list shows.

A run is msgpack, deflated. Its histograms lie in it as one row of small integers each (the gaps
between buckets, and counts), well under half of what their maps would take. Ticks beyond
:data:`MOST_TICKS` are merged into longer ones: a run of a night takes a few megabytes.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from opsconsole import paths
from opsconsole.errors import OpsError, UsageError
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, PhaseResult, Run, ServerSample, Tick, Totals
from opsconsole.load.summary import Summary, summarize
from opsconsole.load.thinning import thin
from opsconsole.profile.problems import nearest
from opsconsole.text import clean_line

MOST_TICKS = 3600
"""Ticks that are stored of one run; more are merged."""

_MAGIC = b"opsconsole load 1\n"
_LARGEST = 1 << 30
"""Bytes that an inflated run may have."""


def folder() -> Path:
    """Where the runs are."""
    return paths.state_dir() / "loads"


def save(run: Run) -> Path:
    """Store ``run``; a run of the same id is replaced. Its folder.

    Raises:
        OpsError: the disk is full or the folder cannot be written. Nothing half-written stays.
    """
    place = folder() / run.id
    made = not place.is_dir()
    try:
        data = _MAGIC + pack(run)
        brief = msgspec.json.format(msgspec.json.encode(summarize(run)), indent=1)
    except UnicodeEncodeError:
        raise OpsError(
            "the run cannot be stored: a name in it is no Unicode text", where=str(place)
        ) from None
    try:
        paths.private_dir(place)
        paths.write_atomic(place / "run.bin", data)
        # Last: a folder without it is no run yet.
        paths.write_atomic(place / "summary.json", brief)
    except OSError as error:
        if made:
            shutil.rmtree(place, ignore_errors=True)
        raise _unwritable("the run cannot be stored", error, place) from None
    return place


def runs() -> list[Summary]:
    """The stored runs, oldest first; folders that hold no readable summary are left out."""
    try:
        places = sorted(folder().iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OpsError(
            f"the stored runs cannot be read: {error.strerror}", where=str(folder())
        ) from None
    found = []
    for place in places:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            summary = _summaries.decode((place / "summary.json").read_bytes())
            if summary.id == place.name:
                found.append(summary)
    return found


def look_up(word: str, *, profile: str | None = None) -> Summary:
    """The summary of the run that ``word`` means: ``latest``, an id, the beginning of one, or the
    name of a plan (its newest run). ``profile`` limits ``latest`` and plans to its runs.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    known = runs()
    if not known:
        raise UsageError("no load test is stored", where=str(folder()), hint="opsconsole load")
    for summary in known:
        if summary.id == word:
            return summary
    here = [summary for summary in known if profile is None or summary.profile == profile]
    if word == "latest" and here:
        return here[-1]
    of_plan = [summary for summary in here if summary.plan == word]
    if of_plan:
        return of_plan[-1]
    begun = [summary for summary in known if word and summary.id.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        shown = ", ".join(summary.id for summary in begun[-3:])
        raise UsageError(
            f"{len(begun)} runs begin with {word!r}", hint=f"give more of it, such as {shown}"
        )
    plans = sorted({summary.plan for summary in known})
    raise UsageError(
        f"there is no run {clean_line(word, 80)!r}",
        hint=nearest(word, [*plans, "latest"]) or "opsconsole load list",
    )


def find(word: str, *, profile: str | None = None) -> Run:
    """The run that ``word`` means; see :func:`look_up`.

    Raises:
        UsageError: there is none, or several.
        OpsError: its file cannot be read.
    """
    return read(look_up(word, profile=profile).id)


def read(run_id: str) -> Run:
    """The stored run of this id.

    Raises:
        OpsError: its file is gone, damaged, or of another version of opsconsole.
    """
    path = folder() / run_id / "run.bin"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OpsError(f"the run cannot be read: {error.strerror}", where=str(path)) from None
    if not data.startswith(_MAGIC):
        raise OpsError("this is no run that this version of opsconsole reads", where=str(path))
    try:
        return unpack(data[len(_MAGIC) :])
    except (zlib.error, msgspec.MsgspecError, ValueError):
        raise OpsError("the stored run is damaged", where=str(path)) from None


def set_baseline(word: str, *, profile: str | None = None) -> Summary:
    """Make a run the one that later runs of its plan and profile are compared with.

    Raises:
        UsageError: there is no such run, or it is invalid.
        OpsError: it cannot be noted.
    """
    summary = look_up(word, profile=profile)
    if summary.verdict == "invalid":
        raise UsageError(
            f"run {summary.id} is invalid and can be no baseline", hint=summary.headline
        )
    noted = _baselines()
    noted.setdefault(summary.profile, {})[summary.plan] = summary.id
    path = folder() / "baselines.json"
    try:
        paths.write_atomic(path, msgspec.json.format(msgspec.json.encode(noted), indent=1))
    except OSError as error:
        raise _unwritable("the baseline cannot be noted", error, path) from None
    return summary


def baseline(plan: str, profile: str) -> Run | None:
    """The run that runs of this plan are compared with; None when none was chosen or it is gone."""
    run_id = _baselines().get(profile, {}).get(plan)
    if run_id is None or not any(summary.id == run_id for summary in runs()):
        return None
    return read(run_id)


def pack(run: Run) -> bytes:
    """The run as bytes, with at most about :data:`MOST_TICKS` ticks."""
    ticks = thin(run.ticks, MOST_TICKS)
    pressed = zlib.compressobj(6)
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
    press = zlib.decompressobj()
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


def _baselines() -> dict[str, dict[str, str]]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return _notes.decode((folder() / "baselines.json").read_bytes())
    return {}


def _unwritable(what: str, error: OSError, place: Path) -> OpsError:
    hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return OpsError(f"{what}: {error.strerror}", where=str(place), hint=hint)


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
        )

    def back(self) -> Totals:
        return Totals(
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
        )


class _Client(Struct, array_like=True):
    due: int
    dropped: int
    in_flight: int
    cpu: float
    late: bytes
    failures: dict[str, int]

    @staticmethod
    def of(client: Client) -> _Client:
        return _Client(
            client.due,
            client.dropped,
            client.in_flight,
            client.cpu,
            pack_histogram(client.late),
            client.failures,
        )

    def back(self) -> Client:
        return Client(
            self.due,
            self.dropped,
            self.in_flight,
            self.cpu,
            unpack_histogram(self.late),
            self.failures,
        )


class _Phase(Struct, array_like=True):
    phase: Phase
    seconds: float
    totals: dict[str, _Totals]
    client: _Client

    @staticmethod
    def of(result: PhaseResult) -> _Phase:
        totals = {name: _Totals.of(totals) for name, totals in result.totals.items()}
        return _Phase(result.phase, result.seconds, totals, _Client.of(result.client))

    def back(self) -> PhaseResult:
        return PhaseResult(
            phase=self.phase,
            seconds=self.seconds,
            totals={name: totals.back() for name, totals in self.totals.items()},
            client=self.client.back(),
        )


class _Tick(Struct, array_like=True):
    at: float
    seconds: float
    phase: int
    totals: dict[str, _Totals]
    client: _Client
    servers: dict[str, ServerSample]

    @staticmethod
    def of(tick: Tick) -> _Tick:
        totals = {name: _Totals.of(totals) for name, totals in tick.totals.items()}
        client = _Client.of(tick.client)
        return _Tick(tick.at, tick.seconds, tick.phase, totals, client, tick.servers)

    def back(self) -> Tick:
        return Tick(
            at=self.at,
            seconds=self.seconds,
            phase=self.phase,
            totals={name: totals.back() for name, totals in self.totals.items()},
            client=self.client.back(),
            servers=self.servers,
        )


class _Head(Struct):
    """The first record: the run without its phases and ticks, and how many of them follow."""

    run: Run
    phases: int
    ticks: int


_summaries = msgspec.json.Decoder(Summary)
_notes = msgspec.json.Decoder(dict[str, dict[str, str]])
