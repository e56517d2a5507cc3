"""What the screens show, as plain data: no widget, no app."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsconsole.checks import Finding, diagnose
from opsconsole.daemon.states import DaemonState
from opsconsole.fleet import Figures, FleetFigures, History, Snapshot, aggregate
from opsconsole.profile import Profile, Server

if TYPE_CHECKING:
    from opsconsole.daemon import DaemonStatus
    from opsconsole.host import Busy


@dataclass
class FleetModel:
    """The live state of a profile's servers.

    Attributes:
        version: Grows with every change; a screen redraws when it has seen another one.
        busy: Server name → what is being done to it right now, such as ``starting``.
        machine: How busy this machine is; None where that is not known.
    """

    profile: Profile
    version: int = 0
    histories: dict[str, History] = field(default_factory=dict)
    daemons: dict[str, DaemonStatus] = field(default_factory=dict)
    busy: dict[str, str] = field(default_factory=dict)
    machine: Busy | None = None
    _figures: dict[str, tuple[int, Figures]] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for server in self.profile.servers:
            self.histories[server.name] = History()

    def take(self, snapshot: Snapshot) -> None:
        """The next poll of one server."""
        self.histories[snapshot.server].add(snapshot)
        self._seen[snapshot.server] = self._seen.get(snapshot.server, 0) + 1
        self.version += 1

    def take_daemons(self, found: Iterable[DaemonStatus]) -> None:
        """What the keepers say."""
        self.daemons = {status.name: status for status in found}
        self.version += 1

    def set_busy(self, name: str, what: str | None) -> None:
        """Note, or forget, that an action on ``name`` is under way."""
        if what is None:
            self.busy.pop(name, None)
        else:
            self.busy[name] = what
        self.version += 1

    def seen(self, name: str) -> int:
        """How many polls of a server were taken in."""
        return self._seen.get(name, 0)

    def snapshot(self, name: str) -> Snapshot | None:
        """The newest poll of a server."""
        return self.histories[name].last

    def figures(self, name: str) -> Figures:
        """The derived numbers of a server, computed once a poll."""
        seen = self.seen(name)
        known = self._figures.get(name)
        if known is None or known[0] != seen:
            known = self._figures[name] = (seen, self.histories[name].figures())
        return known[1]

    def fleet(self) -> FleetFigures:
        """All servers together; what another program answers on the port of one is not its."""
        return aggregate(
            (None, Figures())
            if self._is_foreign(s.name)
            else (self.histories[s.name].last, self.figures(s.name))
            for s in self.profile.servers
        )

    def _is_foreign(self, name: str) -> bool:
        daemon = self.daemons.get(name)
        return daemon is not None and daemon.state is DaemonState.FOREIGN

    def findings(self, server: Server) -> list[Finding]:
        """What is wrong with a server."""
        return diagnose(
            server,
            self.snapshot(server.name),
            self.figures(server.name),
            self.daemons.get(server.name),
            self.machine,
        )

    def age(self) -> float | None:
        """Seconds since the newest poll of the server that was polled longest ago."""
        seen = [h.last.clock for h in self.histories.values() if h.last is not None]
        return time.monotonic() - min(seen) if seen else None

    def stale(self) -> bool:
        """Whether some server's data is older than three of its intervals and its timeout."""
        now = time.monotonic()
        for server in self.profile.servers:
            last = self.histories[server.name].last
            if last and now - last.clock > 3 * server.interval + server.timeout:
                return True
        return False
