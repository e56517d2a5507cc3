"""The load tests of a profile, ready to be run."""

from __future__ import annotations

from typing import Any

from opsconsole.load.modes import plan_for
from opsconsole.load.plan import Plan
from opsconsole.profile import Profile


def find(profile: Profile, name: str, **options: Any) -> Plan | None:
    """The profile's load test ``name``; None when it has none of that name.

    Args:
        options: Keys that hold instead of those in the profile, as in
            :func:`~opsconsole.load.modes.plan_for`.

    Raises:
        UsageError: ``options`` contradict the rest of it; its replay file cannot be read.
    """
    load = profile.load(name)
    return plan_for(name, base=load, **options) if load is not None else None


def names(profile: Profile) -> list[str]:
    """The names of the profile's load tests, in their order."""
    return [load.name for load in profile.loads]
