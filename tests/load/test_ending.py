"""How a generator stops, pauses and ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconsole.load.messages import Control, Stop
from opsconsole.load.plan import Work
from tests.load.bed import Nobody
from tests.load.driving import (
    Generator,
    GeneratorError,
    check_sums,
    opened,
    setup_for,
)
from tests.load.farside import Far, when_still
from tests.server.process import until


def stops(generator: Generator) -> None:
    generator.send(Stop(grace=5.0))


def stops_at_once(generator: Generator) -> None:
    generator.send(Stop(grace=0.0))


@pytest.mark.parametrize("stop", [stops, stops_at_once])
def test_a_stop_counts_what_was_sent(stop: Callable[[Generator], None]) -> None:
    with Far("exact", delay=0.2) as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(200, 30.0))
        until(lambda: far.counts().good >= 20, "answers")
        stop(generator)
        driven = generator.collect()
        seen = far.counts()
    check_sums(driven, cut_off=stop is stops_at_once)
    totals = driven.all
    if stop is stops:
        assert totals.good == totals.sent == totals.ended == seen.requests == seen.good
    else:
        assert 20 <= totals.good <= totals.ended <= totals.sent
    assert driven.first.seconds < 25


def test_a_pause_sends_nothing_and_asks_for_nothing() -> None:
    with Far("exact") as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(200, 1.5))
        until(lambda: far.counts().good >= 20, "answers")
        generator.send(Control(paused=True))
        before = when_still(far)
        time.sleep(1.5)  # nothing happens
        assert far.counts().requests == before
        generator.send(Control(paused=False))
        driven = generator.collect()
        seen = far.counts()
    check_sums(driven)
    assert driven.all.sent == seen.requests > before
    assert driven.client.due == driven.all.sent + driven.client.dropped
    assert driven.client.dropped == 0
    assert driven.client.late.largest < 1_500_000_000  # nothing was due while it paused


def test_an_interrupt_is_for_the_console_to_decide() -> None:
    with Far("exact") as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(100, 0.8))
        until(lambda: far.counts().good >= 10, "answers")
        os.kill(generator.pid, signal.SIGINT)
        driven = generator.collect()
        seen = far.counts()
    check_sums(driven)
    assert driven.all.good == driven.client.due == seen.good


def test_the_generator_ends_with_its_input() -> None:
    with Far("silent") as far:
        with Generator(setup_for(far)) as generator:
            generator.begin(opened(50, 60.0))
            until(lambda: far.counts().requests >= 5, "requests")
        assert generator.process.returncode is not None
        until(lambda: far.counts().open == 0, "its connections to be closed")


def test_nonsense_is_said_in_words(tmp_path: Path) -> None:
    work = Work(replay=str(tmp_path / "none.jsonl"))
    with pytest.raises(AssertionError) as caught, Generator(setup_for(Nobody(), work=work)):
        pass
    assert not isinstance(caught.value, GeneratorError)
    assert "none.jsonl" in str(caught.value)
