"""A server that measured and chose by itself is compared, and comes back, with what it chose."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from opsconsole import daemon
from opsconsole.daemon.started import choices, measures, precision
from opsconsole.fleet import health_of
from opsconsole.load.plan import Lengths, Work
from opsconsole.profile import load_file
from opsconsole.tuning import Request, Tuning
from opsconsole.tuning.before import look, put_back, write_journal
from opsconsole.tuning.report import text
from tests.tuning.bed import Bed

pytestmark = pytest.mark.timeout(240)
WORK = Work(documents=Lengths("fixed", 2), document_tokens=Lengths("fixed", 10))


def controller(**changes: Any) -> dict[str, Any]:
    return {"controller": {"dtype": "bfloat16", "batch_tokens": 1024, "threads": 2, **changes}}


def test_only_what_was_not_told_was_chosen() -> None:
    everything = {"DTYPE": "bfloat16", "OPSCONSOLE_BATCH_TOKENS": "1024", "OPSCONSOLE_THREADS": "2"}
    assert choices({}, controller()) == everything
    assert choices({"DTYPE": "auto", "BATCH_SIZE": "8"}, controller()) == everything
    assert choices({"DTYPE": "bf16", "OPSCONSOLE_THREADS": "1"}, controller()) == {
        "OPSCONSOLE_BATCH_TOKENS": "1024"
    }
    # On a GPU no threads; while it loads nothing is known.
    on_gpu = controller(threads=0)
    assert "OPSCONSOLE_THREADS" not in choices({}, on_gpu)
    loading = controller(dtype=None, batch_tokens=None, threads=None)
    for health in (loading, {}, {"controller": None}, {"controller": [1]}):
        assert choices({}, health) == {}
        assert precision(health) == ""
    for strange in ("x; rm", "auto", ["int8"]):
        assert choices({}, controller(dtype=strange)).get("DTYPE") is None
    assert "OPSCONSOLE_BATCH_TOKENS" not in choices({}, controller(batch_tokens=True))
    # Without a warm-up all follows from the settings.
    assert choices({"OPSCONSOLE_WARMUP": "false"}, controller()) == {}
    assert measures({})
    assert measures({"DTYPE": "float32"})
    assert not measures({"OPSCONSOLE_WARMUP": "false"})
    assert not measures(everything)


@pytest.fixture
def warm(bed: Bed) -> Bed:
    """A daemon that measures at its start what is fastest."""
    bed.path.write_text(bed.path.read_text().replace("OPSCONSOLE_WARMUP: false, ", ""))
    bed.profile = load_file(bed.path)
    bed.server = bed.profile.servers[0]
    return bed


def test_it_comes_back_with_what_it_had_chosen(warm: Bed) -> None:
    daemon.start(warm.profile, warm.server)
    health = asyncio.run(health_of(warm.server))
    found, started = look(warm.profile, warm.server, health)
    assert started.chosen["DTYPE"] == precision(health) == found.chosen["DTYPE"]
    assert not started.unknown
    assert look(warm.profile, warm.server)[1].unknown  # as where it does not answer

    # As if it had chosen what it would not choose now: another precision, batches of another size.
    other = "float32" if precision(health) == "bfloat16" else "bfloat16"
    chosen = {"DTYPE": other, "OPSCONSOLE_BATCH_TOKENS": "333"}
    write_journal(warm.folder, found)
    put_back(warm.profile, warm.server, found, started._replace(chosen=chosen))
    back = asyncio.run(health_of(warm.server))
    assert precision(back) == other
    assert back["controller"]["batch_tokens"] == 333


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Somebody who asks the server all the time, whenever it is there."""
    over = threading.Event()
    body = json.dumps({"query": "a", "documents": ["b"]})

    def ask() -> None:
        while not over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("POST", "/rerank", body, {"Content-Type": "application/json"})
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                over.wait(0.05)  # it is being restarted
            finally:
                connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_all_trials_are_held_to_what_the_first_one_chose_and_strangers_are_told(warm: Bed) -> None:
    request = Request(budget=120.0, clients=2, work=WORK, preset="batch")
    tuning = Tuning(warm.profile, warm.server, request)
    seen: list[dict[str, str]] = []

    def tell(_: object) -> None:
        try:
            seen.append(warm.folder.read_spec().env)
        except OSError:
            return
        if "DTYPE" in seen[-1]:
            tuning.stop("seen enough")

    with stranger(warm.port):
        report = asyncio.run(tuning.run(tell))
    first = next(env for env in seen if "DTYPE" not in env)
    held = next(env for env in seen if "DTYPE" in env)
    assert "OPSCONSOLE_BATCH_TOKENS" not in first
    assert held["OPSCONSOLE_BATCH_TOKENS"].isdigit()
    said = " ".join(text(report).split())
    assert "all trials were held to what its first start chose by itself: DTYPE=" in said
    assert "others asked it too: " in said
