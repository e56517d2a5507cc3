"""Lines of several logs in one order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge

from opsconsole.logs.line import line_time


def _timed(source: str, lines: Sequence[bytes]) -> Iterator[tuple[float, str, bytes]]:
    """Lines with a time that never goes back; a line without one keeps that of the line before."""
    latest = float("-inf")
    for raw in lines:
        stated = line_time(raw)
        if stated is not None:
            latest = max(latest, stated)
        yield latest, source, raw


def merge_by_time(batches: Mapping[str, Sequence[bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    """Runs of (source, lines) in the order of the times that the lines state.

    The order within a source is never changed, and a traceback stays with its error.
    """
    streams = [_timed(source, lines) for source, lines in batches.items()]
    run_source, run = "", list[bytes]()
    for _, source, raw in merge(*streams, key=lambda item: item[0]):
        if run and source != run_source:
            yield run_source, run
            run = []
        run_source = source
        run.append(raw)
    if run:
        yield run_source, run
