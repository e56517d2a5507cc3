"""Servers that many tests load, each started once: what they counted before is to be taken off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.load.farside import Far


@pytest.fixture(scope="session")
def quick() -> Iterator[Far]:
    """A server that answers at once."""
    with Far("exact") as far:
        yield far


@pytest.fixture(scope="session")
def slow() -> Iterator[Far]:
    """A server that answers after 100 ms."""
    with Far("exact", delay=0.1) as far:
        yield far
