"""Whose time it was that a generator process was kept from running."""

from __future__ import annotations

import asyncio
from time import monotonic, process_time

from opsconsole.load.generator.heartbeat import LEAST_NS, Heartbeat
from opsconsole.load.generator.recording import Recorder
from opsconsole.load.records import Client


def test_a_phase_has_no_part_in_what_was_before_it() -> None:
    loop = asyncio.new_event_loop()
    try:
        heartbeat = Heartbeat(loop)
        heartbeat.start()
        end, cpu = monotonic() + 30, process_time()
        while process_time() - cpu < 2e-9 * LEAST_NS:
            assert monotonic() < end
        loop.run_until_complete(asyncio.sleep(0.05))
        before, after = heartbeat.border(), heartbeat.told()
        heartbeat.stop()
    finally:
        loop.close()
    assert before.beats.total >= 3
    assert before.stalled >= 0  # it may have been late, on a machine as it is
    assert before.wanted >= 2e-9 * LEAST_NS
    assert (after.beats.total, after.stalled) == (0, 0.0)
    assert after.wanted < before.wanted


def test_the_rest_of_a_phase_is_told_although_nothing_else_is() -> None:
    recorder = Recorder(0, ("a",), is_open=False, begin=0)
    recorder.close()
    recorder.machine = Client(busy=0.1, stalled=0.2, cpu=0.9, wanted=0.1, in_flight=7)
    frame = recorder.cut(1_000_000)
    assert frame is not None
    told = frame.client
    assert (told.busy, told.stalled, told.cpu, told.wanted) == (0.1, 0.2, 0.9, 0.1)
    assert told.in_flight == 0
    assert recorder.cut(2_000_000) is None
