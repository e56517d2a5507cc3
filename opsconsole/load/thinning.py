"""Fewer, longer ticks: for what is kept of a long run, stored of it, and drawn."""

from __future__ import annotations

from opsconsole.load.records import Client, ServerSample, Tick, Totals


def thin(ticks: list[Tick], most: int) -> list[Tick]:
    """At most about ``most`` ticks: neighbours of one phase merged, their lengths added.

    Every phase keeps a tick at least. The ticks given are not changed.
    """
    if len(ticks) <= most:
        return ticks
    size = -(-len(ticks) // most)
    merged: list[Tick] = []
    held = 0
    for tick in ticks:
        if held == 0 or held == size or merged[-1].phase != tick.phase:
            merged.append(
                Tick(
                    at=tick.at,
                    seconds=0.0,
                    phase=tick.phase,
                    totals={},
                    client=Client(),
                    since=tick.since,
                )
            )
            held = 0
        last = merged[-1]
        held += 1
        last.seconds += tick.seconds
        for name, totals in tick.totals.items():
            last.totals.setdefault(name, Totals()).add(totals)
        last.client.then(tick.client)
        for name, sample in tick.servers.items():
            last.servers[name] = worse(last.servers.get(name), sample)
    return merged


def worse(one: ServerSample | None, other: ServerSample) -> ServerSample:
    """Of two samples of a server the fuller queue, the slower inference, the later state."""
    if one is None:
        return other

    def most(first: float | None, second: float | None) -> float | None:
        known = [value for value in (first, second) if value is not None]
        return max(known) if known else None

    return ServerSample(
        waiting=most(one.waiting, other.waiting),
        active=most(one.active, other.active),
        inference_ms=most(one.inference_ms, other.inference_ms),
        queue_ms=most(one.queue_ms, other.queue_ms),
        batch_pairs=other.batch_pairs if one.batch_pairs is None else one.batch_pairs,
        gpu=most(one.gpu, other.gpu),
        cache_hits=one.cache_hits if other.cache_hits is None else other.cache_hits,
        state=other.state or one.state,
    )
