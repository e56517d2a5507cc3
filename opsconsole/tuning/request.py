"""What is to be tuned, by which load, in which time."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from opsconsole.load import Plan, plan_for
from opsconsole.load.plan import Lengths, Work
from opsconsole.tuning.records import Goal

CLIENTS = 8
BUDGET = 600.0
LEAST_BUDGET = 30.0
REPEAT = 0.2
"""Share of pairs that were sent before, as in search traffic; 0 leaves the cache out."""


class Request(Struct, frozen=True, kw_only=True):
    """What a tuning is asked for.

    Attributes:
        goal: The highest throughput that keeps ``limit``, or the lowest p95.
        limit: Of p95, seconds; None: what the server promises, if it does.
        budget: Seconds that it may take, until what was there is put back.
        clients: That load the server, each waiting for its answer. None: 8, or what the
            checklist's step has.
        work: What they send.
        values: Instead of the default values, by setting. ``only``: settings that are varied;
            empty: all.
        preset: A tuning step of the checklist instead of the sweep.
    """

    goal: Goal = "throughput"
    limit: float | None = None
    budget: float = BUDGET
    clients: int | None = None
    work: Work = Work(repeat=REPEAT)
    values: dict[str, tuple[str, ...]] = {}
    only: tuple[str, ...] = ()
    preset: str = ""

    def plan(self, server: str, seconds: float) -> Plan:
        """The load of a trial: so many clients, as fast as they can.

        Raises:
            UsageError: a number that makes no load.
        """
        return load_of(server, self.work, self.clients or CLIENTS, duration=seconds)

    @property
    def load_words(self) -> str:
        """The load in one line."""
        return words_of(self.work, self.clients or CLIENTS)


def load_of(
    server: str,
    work: Work,
    clients: int,
    *,
    duration: float | None = None,
    requests: int | None = None,
    think: float | None = None,
) -> Plan:
    """Clients of ``server`` that wait for their answers, and ``think`` seconds after each, for so
    long or so many requests.

    Raises:
        UsageError: a number that makes no load.
    """
    options: dict[str, Any] = {
        "servers": (server,), "concurrency": clients, "duration": duration, "requests": requests,
        "think": think,
    }  # fmt: skip
    if work.replay:
        options |= {"replay": work.replay, "warmup": 0.0}
    plan = plan_for("replay" if work.replay else "load", **options)
    return structs.replace(plan, name="tune", work=work)


def words_of(work: Work, clients: int) -> str:
    """A load in one line."""
    each = f"{clients} client{'s' * (clients != 1)}"
    if work.replay:
        return f"{each}, bodies of {work.replay}"
    documents, tokens = _lengths(work.documents), _lengths(work.document_tokens)
    repeated = f"{work.repeat:.0%} of the pairs repeated" if work.repeat else "no pair repeated"
    return f"{each}, {documents} documents of {tokens} words, {repeated}"


def _lengths(lengths: Lengths) -> str:
    if lengths.kind == "fixed":
        return f"{lengths.first:g}"
    if lengths.kind == "uniform":
        return f"{lengths.first:g} to {lengths.second:g}"
    return f"about {lengths.first:g}"
