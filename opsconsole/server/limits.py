"""How many requests each client may send in a while."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from opsconsole.errors import UsageError

_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|m|h)(?::([1-9][0-9]{0,8}))?")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SWEEP_FROM = 1024
_ROUNDING = 1e-6
MOST_CLIENTS = 65_536
"""Clients that are remembered at a time; it bounds the memory, to some 10 MB."""
_KEPT = MOST_CLIENTS - MOST_CLIENTS // 8
"""Of them when there is no room for one more."""


class Rate(NamedTuple):
    """``requests`` in ``period`` seconds, ``burst`` of them at once."""

    requests: int
    period: float
    burst: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """From ``20/s``, ``600/m``, ``1000/h``, or with a burst ``20/s:40``.

        Without one, the requests of a whole period may come at once.

        Raises:
            UsageError: another text.
        """
        found = _RATE.fullmatch(text.replace(" ", ""))
        if not found:
            raise UsageError(
                f"RATE_LIMIT is {text!r}, expected a rate such as 20/s, 600/m or 20/s:40",
                where="environment",
            )
        requests = int(found[1])
        return cls(requests, _UNITS[found[2]], int(found[3] or requests))


class Quota(NamedTuple):
    """What a client has left."""

    wait: float
    """Seconds until another request is taken; 0: this one was."""
    remaining: int
    """Requests that would be taken now."""
    reset: float
    """Seconds until the whole burst is there again."""


class RateLimiter:
    """A token bucket a client.

    A bucket is kept as the one moment at which it is full again (the generic cell rate algorithm
    of ATM, ITU-T I.371): nothing has to be filled up, and a full bucket need not be kept. For one
    event loop.

    Args:
        rate: Of every client.
        clock: Seconds that never go back, whatever is done to the machine's time.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._each = rate.period / rate.requests
        self._depth = rate.burst * self._each
        self._full_at: dict[str, float] = {}
        self._sweep_at = _SWEEP_FROM

    def __len__(self) -> int:
        """Clients that are remembered."""
        return len(self._full_at)

    def take(self, client: str) -> Quota:
        """Count a request of ``client``, if it may have one."""
        now = self._clock()
        full_at = max(self._full_at.get(client, now), now)
        # Rounding must not cost the last request of a burst.
        left = self._depth - (full_at - now) + _ROUNDING
        if left < self._each:
            return Quota(self._each - left, 0, full_at - now)
        full_at += self._each
        if client not in self._full_at:
            self._make_room(now)
        self._full_at[client] = full_at
        return Quota(0.0, int((left - self._each) / self._each), full_at - now)

    def _make_room(self, now: float) -> None:
        """Forget those who have used nothing of their burst; it is as if they had never come."""
        if len(self._full_at) < self._sweep_at:
            return
        self._full_at = {client: at for client, at in self._full_at.items() if at > now}
        # Whoever was first seen longest ago; many at once, for to look through all of them at every
        # newcomer would hold up the loop.
        for client in list(islice(self._full_at, max(0, len(self._full_at) - _KEPT))):
            del self._full_at[client]
        self._sweep_at = min(MOST_CLIENTS, max(_SWEEP_FROM, 2 * len(self._full_at)))


def whole_seconds(seconds: float) -> int:
    """For ``Retry-After``: never too early, never 0."""
    return max(1, math.ceil(seconds))


def peer(address: str) -> str:
    """Whom an address belongs to: an IPv6 network of 64 bits is one customer's, not many."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return address
