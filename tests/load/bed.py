"""What tests of the generator have in common: a usual load, and a place where nobody is."""

from __future__ import annotations

from typing import Any

from opsconsole.load.plan import Work
from opsconsole.load.records import Totals
from tests.load.driving import RERANK, Driven, check_sums, closed, drive, setup_for
from tests.load.farside import Counts, Far
from tests.net import free_port

COUNT = 24
CLIENTS = 3
UNCHECKED = Work(documents=RERANK.documents, document_tokens=RERANK.document_tokens, check=0.0)


def loaded(far: Far, *, count: int = COUNT, **changes: Any) -> tuple[Driven, Totals, Counts]:
    """So many rerank requests by three clients: all of it, its totals, and the server's counts."""
    changes = {"work": RERANK} | changes
    driven = drive(setup_for(far, **changes), closed(count, CLIENTS))
    check_sums(driven)
    totals = driven.first.all
    assert totals.ended == count
    return driven, totals, far.counts()


class Nobody:
    """A port that nobody listens on."""

    host, unix = "127.0.0.1", ""

    def __init__(self) -> None:
        self.port = free_port()
