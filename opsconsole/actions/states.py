"""How daemons are, and who took those away that are: what both faces show."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from opsconsole.balancer.away import told
from opsconsole.daemon import DaemonStatus, status
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.holding import holder, tuning_lock
from opsconsole.daemon.states import ALIVE, DaemonState
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, Server

_KEPT = (*ALIVE, DaemonState.BACKOFF, DaemonState.ORPHANED)
"""Who runs, or whose keeper is about to start it, is not away."""


def daemon_states(profile: Profile, servers: Iterable[Server]) -> list[DaemonStatus]:
    """The states of the daemons of ``servers``; reads files and /proc alone.

    Raises:
        UsageError: a name that is not fit for a folder.
    """
    return with_away(profile, [status(profile, server) for server in servers])


def with_away(profile: Profile, found: list[DaemonStatus]) -> list[DaemonStatus]:
    """``found``, in which those that a failover test has taken away say so as ``left_behind``.

    A journal of such a test that cannot be read says nothing here: ``opsconsole status`` and the
    next test tell of it.
    """
    try:
        away = told(profile, stopped(found))
    except OpsError:
        return found
    remarks = {remark.name: remark for remark in away}
    return [
        structs.replace(one, left_behind=remark.why, remedy=remark.remedy)
        if (remark := remarks.get(one.name))
        else one
        for one in found
    ]


def stopped(found: Iterable[DaemonStatus]) -> list[str]:
    """Which of them nobody runs, nor is about to."""
    return [one.name for one in found if one.state not in _KEPT]


def at_work(profile: Profile, server: Server) -> str:
    """Who restarts this daemon again and again now, as in "a tuning is at work: process 1".

    Empty when nobody does, and of a server without a daemon.
    """
    if server.daemon is None:
        return ""
    theirs = holder(tuning_lock(folder_of(profile, server)))
    return f"a {theirs}" if theirs else ""
