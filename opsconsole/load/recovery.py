"""Waiting until a server has worked off what a probe has left on it."""

from __future__ import annotations

from collections.abc import Iterable

from opsconsole.load.plan import Phase
from opsconsole.load.records import PhaseResult

_GIVEN_UP = ("timeout", "unfinished", "HTTP 504")
"""Errors of requests that nobody waits for any more: the server may be at work on them still. 504
is what a proxy says that has given up."""
_SLOWER = 2.0
_AT_LEAST = 0.05
"""How much slower than usual, and by how many seconds, an answer may be that waited for nobody."""
_MOST_PAUSE = 1.0


def gave_up(results: Iterable[PhaseResult]) -> bool:
    """Whether requests were given up, of which a server may not know."""
    kinds = (kind for result in results for kind in result.all().errors)
    return any(kind.startswith(_GIVEN_UP) for kind in kinds)


class Recovery:
    """One request at a time, to each of ``servers`` servers in turn, until they are answered as
    fast as usual.

    Args:
        name: Of the probe.
        usual: Seconds of an answer of a server that has nothing else to do.
        timeout: After so many seconds no further request is tried.
    """

    def __init__(self, name: str, usual: float, timeout: float, servers: int = 1) -> None:
        self._name = name
        self._allowed = _SLOWER * usual + _AT_LEAST
        self._timeout = timeout
        self._servers = servers
        self._waited = 0.0
        self._tries = 0
        self._recovered = False
        self.answered = False
        """Whether any of its requests was answered well: else there is no server to be tried."""

    def next(self) -> Phase | None:
        """What is to be run next; None when they have recovered, or the time is up."""
        if self._recovered or self._waited >= self._timeout:
            return None
        # A server that refuses at once is not to be asked a thousand times.
        pause = min(_MOST_PAUSE, max(self._waited / 4, 0.05)) if self._tries else 0.0
        self._tries += 1
        return Phase(
            name=f"working off {self._name}",
            measured=False,
            requests=self._servers,
            concurrency=1,
            think=pause,
        )

    def take(self, result: PhaseResult) -> None:
        """What came of it."""
        self._waited += result.seconds
        totals = result.all()
        self.answered = self.answered or totals.good > 0
        slowest = totals.response.maximum
        self._recovered = (
            totals.good >= self._servers and slowest is not None and slowest <= self._allowed
        )

    @property
    def failure(self) -> str:
        """Why what comes next may measure what is left; empty where it does not."""
        if self._recovered:
            return ""
        if not self.answered:
            return f"after {self._name} nobody was answered any more, for {self._waited:.0f} s"
        return f"{self._name} was not worked off within {self._waited:.0f} s"
