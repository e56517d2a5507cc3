"""The embedded engine: a child process that may be killed, but never takes the console along."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from opsconsole.engine import Engine, EngineClient, EngineSettings, Options
from opsconsole.engine.wire import Load, Score, pack
from opsconsole.errors import OpsError
from tests.engine.conftest import DOCUMENTS, QUERIES

QUERY = QUERIES[0]


SHARED: set[int] = set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(bert: Path) -> AsyncIterator[EngineClient]:
    """A client whose child several tests use: each costs an import of torch."""
    client = EngineClient(EngineSettings(dtype="float32", local_path=str(bert), batch_size=4))
    await client.start()
    SHARED.add(pid_of(client))
    yield client
    await client.close()


@pytest.fixture
async def client(bert: Path) -> AsyncIterator[EngineClient]:
    """A client whose child is loaded, closed after the test."""
    client = EngineClient(EngineSettings(dtype="float32", local_path=str(bert), batch_size=4))
    await client.start()
    yield client
    await client.close()


def pid_of(client: EngineClient) -> int:
    assert client._child is not None
    return client._child._process.pid


def workers() -> list[psutil.Process]:
    """Embedded engines that are children of this process, but for the shared one."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.pid not in SHARED and _is_worker(child)]


def _is_worker(child: psutil.Process) -> bool:
    try:
        return "opsconsole.engine.worker" in child.cmdline()
    except psutil.NoSuchProcess:  # or a zombie, of whatever test ran here before
        return False


@pytest.mark.asyncio(loop_scope="module")
async def test_scores_are_the_engines(shared: EngineClient, bert_engine: Engine) -> None:
    assert shared.state == "ready"
    assert shared.info is not None
    assert shared.info.revision == bert_engine.info.revision
    texts = [*DOCUMENTS, "\ud800 lone surrogate"]
    found = await shared.score(QUERY, texts)
    assert found.values == pytest.approx(bert_engine.score(QUERY, texts).values, abs=1e-6)
    assert found.tokens > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_several_requests_under_way(shared: EngineClient, bert_engine: Engine) -> None:
    queries = [f"query {number}" for number in range(12)]
    found = await asyncio.gather(*(shared.score(query, DOCUMENTS[:4]) for query in queries))
    for query, scores in zip(queries, found, strict=True):
        expected = bert_engine.score(query, DOCUMENTS[:4]).values
        assert scores.values == pytest.approx(expected, abs=1e-6)


@pytest.mark.asyncio(loop_scope="module")
async def test_options_cross_the_pipe(shared: EngineClient, bert_engine: Engine) -> None:
    options = Options(activation="none", max_tokens_per_doc=3)
    found = await shared.score(QUERY, DOCUMENTS, options)
    expected = bert_engine.score(QUERY, DOCUMENTS, options)
    assert found.values == pytest.approx(expected.values, abs=1e-5)
    assert found.truncated == expected.truncated > 0
    with pytest.raises(OpsError, match="truncation is off"):
        await shared.score(QUERY, ["word " * 2000], Options(truncate=False))
    with pytest.raises(OpsError, match="the deadline of the request passed"):
        await shared.score(QUERY, ["a"], Options(deadline=time.monotonic() - 1))


async def test_start_again_is_idle_and_close_ends_the_child(client: EngineClient) -> None:
    pid = pid_of(client)
    assert os.getpgid(pid) == pid  # its own session: Ctrl-C of the terminal is not for it
    info = await client.start()
    assert (pid_of(client), info) == (pid, client.info)
    await client.close()
    assert client.state == "stopped"
    assert not psutil.pid_exists(pid)
    with pytest.raises(OpsError, match="the engine is stopped, not ready"):
        await client.score(QUERY, ["a"])
    await client.close()


async def test_two_starts_share_one_child(bert: Path) -> None:
    client = EngineClient(EngineSettings(dtype="float32", local_path=str(bert)))
    try:
        first, second = await asyncio.gather(client.start(), client.start())
        assert first == second
        assert len(workers()) == 1
    finally:
        await client.close()


async def test_killed_in_the_middle_of_a_score(client: EngineClient) -> None:
    scoring = asyncio.create_task(client.score(QUERY, [f"word {n} " * 400 for n in range(2000)]))
    await client.score(QUERY, [])  # answered behind the long one's arrival
    assert not scoring.done()
    os.killpg(pid_of(client), signal.SIGKILL)
    with pytest.raises(OpsError, match=r"the process ended: signal 9 \(SIGKILL\)") as caught:
        await asyncio.wait_for(scoring, 30)
    assert caught.value.where == "embedded engine"
    assert client.state == "failed"
    assert client.info is None
    with pytest.raises(OpsError, match="SIGKILL"):
        await client.score(QUERY, ["a"])
    await client.start()
    assert client.state == "ready"
    assert client.error is None
    assert len((await client.score(QUERY, ["a", "b"])).values) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cancelled_request_is_cancelled_in_the_child(shared: EngineClient) -> None:
    texts = [f"word {number} " * 400 for number in range(2000)]
    scoring = asyncio.create_task(shared.score(QUERY, texts))
    await shared.score(QUERY, [])
    scoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scoring
    # Computed to its end, it would take minutes.
    scores = await asyncio.wait_for(shared.score(QUERY, ["next"]), 60)
    assert len(scores.values) == 1


async def test_a_model_that_cannot_be_loaded() -> None:
    client = EngineClient(EngineSettings(dtype="float32", local_path="/no/such/folder"))
    with pytest.raises(OpsError) as caught:
        await client.start()
    assert caught.value.what == "no such folder"
    assert caught.value.where == "LOCAL_MODEL_PATH=/no/such/folder"
    assert caught.value.hint
    assert client.state == "failed"
    assert client.error is caught.value
    await client.close()
    assert client.state == "stopped"


@pytest.mark.parametrize("turns", [1, 1000])
async def test_close_while_starting(turns: int, embedded: Path) -> None:
    client = EngineClient(EngineSettings(dtype="float32", local_path=str(embedded)))
    starting = asyncio.create_task(client.start())
    for _ in range(turns):  # one: the process is not there yet
        await asyncio.sleep(0)
    assert client.state == "loading"
    await client.close()
    with pytest.raises(OpsError, match="the engine was closed"):
        await starting
    assert client.state == "stopped"
    assert workers() == []


async def test_close_kills_a_child_that_does_not_end(client: EngineClient) -> None:
    pid = pid_of(client)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(client.close(), 20)
    assert not psutil.pid_exists(pid)


@pytest.mark.asyncio(loop_scope="module")
async def test_too_long_a_request_is_refused(
    shared: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.engine.wire.MOST_BYTES", 1 << 20)
    with pytest.raises(OpsError, match="MiB of text in one request"):
        await shared.score(QUERY, ["x" * (1 << 20)])
    assert len((await shared.score(QUERY, ["a"])).values) == 1


async def test_standard_error_goes_to_the_log_or_into_the_message(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module that prints where the stream of answers would be, and one that dies loudly.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, threading\n"
        "def talk():\n"
        "    import time\n"
        "    while os.fstat(1).st_ino != os.fstat(2).st_ino: time.sleep(0.001)\n"
        "    os.write(1, b'noise on standard output\\n')\n"
        "if os.environ.get('NOISE') == 'talk': threading.Thread(target=talk, daemon=True).start()\n"
        "if os.environ.get('NOISE') == 'die':\n"
        "    os.write(2, b'\\x1b[31mnative library: no luck\\n'); os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("NOISE", "talk")
    log = tmp_path / "engine.log"
    log.write_bytes(b"before\n")
    client = EngineClient(EngineSettings(dtype="float32", local_path=str(bert)), log=log)
    await client.start()
    assert len((await client.score(QUERY, ["a"])).values) == 1
    await client.close()
    assert log.read_bytes().startswith(b"before\nnoise on standard output\n")

    monkeypatch.setenv("NOISE", "die")
    client = EngineClient(EngineSettings(dtype="float32", local_path=str(bert)))
    with pytest.raises(OpsError) as caught:
        await client.start()
    assert caught.value.what == (
        "the process ended: exit 7; its last words: native library: no luck"
    )
    await client.close()


def worker(**kwargs: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "opsconsole.engine.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **kwargs,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("moment", ["before", "loading", "ready"])
def test_the_worker_ends_when_its_input_ends(moment: str, bert: Path) -> None:
    with worker() as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if moment != "before":
            child.stdin.write(pack(Load(EngineSettings(dtype="float32", local_path=str(bert)))))
            child.stdin.flush()
        if moment == "ready":
            assert len(child.stdout.read(4)) == 4
        child.stdin.close()
        assert child.wait(30) == 0


@pytest.mark.parametrize("garbage", [b"\xff" * 8, b"\0\0\0\3abc", pack(Score(1, "q", ["d"]))])
def test_the_worker_ends_on_a_stream_that_is_not_ours(garbage: bytes) -> None:
    with worker() as child:
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(garbage)
        child.stdin.flush()
        assert child.wait(30) == 1
        assert b"embedded engine: " in child.stderr.read()
        child.stdin.close()


def test_the_worker_dies_with_its_console(bert: Path) -> None:
    code = (
        "import asyncio, os, sys\n"
        "from opsconsole.engine import EngineClient, EngineSettings\n"
        "async def main():\n"
        f"    client = EngineClient(EngineSettings(local_path={str(bert)!r}))\n"
        "    await client.start()\n"
        "    print(client._child._process.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as console:
        assert console.stdout is not None
        child = psutil.Process(int(console.stdout.readline()))
        console.kill()
    child.wait(30)  # raises when it lives on
