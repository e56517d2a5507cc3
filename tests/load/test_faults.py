"""What the generator reports of answers of every kind, against what the servers counted."""

from __future__ import annotations

import pytest

from opsconsole.load.plan import Work
from tests.load.bed import CLIENTS, COUNT, UNCHECKED, loaded
from tests.load.driving import RERANK, check_sums, closed, drive, setup_for
from tests.load.farside import WELL_BEHAVED, Far
from tests.server.process import until

# --- Answers that are right -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", WELL_BEHAVED)
def test_a_right_answer_is_good_however_it_comes(kind: str) -> None:
    delay = 0.0 if kind == "half_close" else 0.005
    work = UNCHECKED if kind == "stream" else RERANK
    with Far(kind, delay=delay) as far:
        driven, totals, seen = loaded(far, work=work)
    assert totals.errors == {}
    assert driven.client.failures == {}
    assert totals.good == totals.sent == COUNT == seen.good == seen.requests
    assert totals.bytes_in == seen.bytes_out
    if kind in ("polite", "old", "until_close", "half_close"):
        assert seen.connections == COUNT
    else:
        assert seen.connections == CLIENTS
        assert totals.bytes_out == seen.bytes_in


def test_pairs_are_counted_of_good_answers_alone() -> None:
    with Far("busy", nth=3) as far:
        _, totals, seen = loaded(far)
    assert (totals.good, totals.pairs) == (seen.good, 4 * seen.good)
    assert totals.errors == {"HTTP 503 queue_full": seen.bad}
    assert 0 < seen.bad < COUNT


def test_the_first_byte_of_a_stream_is_not_its_end() -> None:
    with Far("stream", delay=0.02) as far:
        _, totals, _ = loaded(far, work=UNCHECKED)
    assert totals.service.least >= 80_000_000
    first, service = totals.first_byte.mean, totals.service.mean
    assert first is not None
    assert service is not None
    assert service - first >= 0.075


def test_interim_answers_are_none() -> None:
    with Far("continues", delay=0.02) as far:
        _, totals, _ = loaded(far)
    assert totals.good == COUNT
    assert totals.service.least >= 20_000_000


# --- Answers that are wrong -----------------------------------------------------------------------

FAULTS = {
    "busy": {"HTTP 503 queue_full"},
    "plain_error": {"HTTP 500"},
    "redirect": {"HTTP 307 redirect"},
    "early": {"HTTP 413"},
    "not_http": {"not http"},
    "bad_length": {"not http"},
    "half_body": {"closed"},
    "half_head": {"closed"},
    "half_chunk": {"closed"},
    "half_reset": {"reset"},
    "resets": {"reset"},
    "hangs_up": {"closed"},
    "shuts": {"closed"},
    "silent": {"timeout"},
    "stalls": {"timeout"},
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_fault_has_its_name_and_is_counted_once(kind: str, loop: str) -> None:
    timeout, count = (0.7, CLIENTS) if FAULTS[kind] == {"timeout"} else (10.0, COUNT)
    with Far(kind) as far:
        setup = setup_for(far, work=RERANK, timeout=timeout)
        driven = drive(setup, closed(count, CLIENTS), uvloop=loop == "uvloop")
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert (totals.good, totals.ended, totals.pairs) == (0, count, 0)
    assert set(totals.errors) == FAULTS[kind]
    assert totals.sent == count == seen.requests
    assert driven.client.failures == {}
    assert set(driven.examples) == FAULTS[kind]
    assert all(0 < len(text) <= 2000 for text in driven.examples.values())


@pytest.mark.parametrize("kind", ["busy", "plain_error", "half_body", "half_reset", "not_http"])
def test_an_error_takes_no_good_answer_along(kind: str) -> None:
    with Far(kind, nth=4) as far:
        _, totals, seen = loaded(far)
    assert totals.errors == {next(iter(FAULTS[kind])): seen.bad}
    assert totals.good == seen.good


def test_the_example_says_when_to_come_again() -> None:
    with Far("busy") as far:
        driven, _, _ = loaded(far)
    example = driven.examples["HTTP 503 queue_full"]
    assert example.startswith("503 (Retry-After: 7) {")
    assert "All places are taken." in example


def test_the_example_of_a_redirect_says_where_to() -> None:
    """A slash that is missing, or https: what the operator has to look for."""
    with Far("moved") as far:
        driven, _, _ = loaded(far, work=Work(dialect="http", path="/a/b?page=2"))
    assert driven.examples["HTTP 307 redirect"] == (
        "307 (Location: https://***@else.where/a/b?page=2&api_key=***&x=1)"
    )


@pytest.mark.parametrize("kind", ["short", "nan", "unsorted", "twice", "no_json"])
def test_a_lie_with_status_200_is_found_when_it_is_looked_at(kind: str) -> None:
    with Far(kind) as far:
        driven, totals, seen = loaded(far)
        assert (totals.good, totals.pairs) == (0, 0)
        assert sum(totals.errors.values()) == COUNT == seen.bad
        assert len(totals.errors) == 1
        assert not next(iter(totals.errors)).startswith("HTTP")
        assert set(driven.examples) == set(totals.errors)
        _, totals, _ = loaded(far, work=UNCHECKED)
        assert (totals.good, totals.errors) == (COUNT, {})


def test_a_slow_answer_is_slow_not_wrong() -> None:
    with Far("dribble", delay=0.2) as far:
        _, totals, seen = loaded(far, count=6)
    assert totals.good == seen.good == 6
    assert totals.service.least >= 200_000_000


def test_a_slow_answer_ends_at_the_time_out() -> None:
    with Far("dribble", delay=5.0) as far:
        driven, totals, _ = loaded(far, count=6, timeout=0.2)
        until(lambda: far.counts().open == 0, "the connections to be closed")
    assert totals.errors == {"timeout": 6}
    assert driven.first.seconds < 5.0


def test_foreign_names_are_cleaned_and_bounded() -> None:
    with Far("many_kinds") as far:
        driven, totals, seen = loaded(far, count=200)
    assert sum(totals.errors.values()) == 200 == seen.bad
    assert 1 < len(totals.errors) <= 51
    assert set(driven.examples) == set(totals.errors)


def test_upstreams_are_counted_as_they_answered() -> None:
    with Far("upstream") as far:
        _, totals, _ = loaded(far, upstream_header="x-served-by")
    assert totals.upstreams == {f"10.0.0.{i}:8000": COUNT // 3 for i in range(3)}


def test_upstreams_are_cleaned_and_bounded() -> None:
    with Far("many_upstreams") as far:
        _, totals, _ = loaded(far, count=400, upstream_header="X-Served-By")
    assert totals.good == 400 == sum(totals.upstreams.values())
    assert len(totals.upstreams) <= 101
    assert all(name.isprintable() for name in totals.upstreams)
