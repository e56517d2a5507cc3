"""What goes wrong in a failover test is told with what was measured, and what is taken away comes
back with what it had."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.balancer.away import begin
from opsconsole.balancer.before import look, otherwise
from opsconsole.balancer.outages import Drill, put_back
from opsconsole.daemon import status
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.group import environ_of
from opsconsole.profile import Profile, Server, load
from tests.balancer.bed import leftovers, needs_nginx
from tests.balancer.duo import Bed
from tests.server.process import until

pytestmark = [needs_nginx, pytest.mark.timeout(300), pytest.mark.xdist_group("failover")]

SHELL = {"BATCH_SIZE": "4", "OMP_NUM_THREADS": "1", "HF_TOKEN": "hf-of-the-shell",
         "HTTP_PROXY": "http://me:word@127.0.0.1:1"}  # fmt: skip
"""Of the shell that starts the daemons, and of no other."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("losses"), warmup=True)
    plain = made.env
    made.env = plain | SHELL
    try:
        done = made("start")
        assert done.returncode == 0, done.stdout + done.stderr
        made.env = plain
        yield made
    finally:
        made("stop")


@pytest.fixture
def bed(started: Bed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """The daemons, for this process too; the profile says something else since they run."""
    monkeypatch.setenv("XDG_STATE_HOME", started.env["XDG_STATE_HOME"])
    for name in SHELL:
        monkeypatch.delenv(name, raising=False)
    was = started.profile.read_text()
    started.profile.write_text(was.replace("MAX_PARALLEL_REQUESTS: 4", "MAX_PARALLEL_REQUESTS: 2"))
    yield started
    started.profile.write_text(was)


@pytest.fixture
def profile(bed: Bed) -> Profile:
    return load(str(bed.profile))


def environ(profile: Profile, server: Server) -> dict[str, str]:
    """What the server runs with, but for what tells this life of it from another."""
    pid = status(profile, server).pid
    assert pid is not None
    found = environ_of(pid)
    return {os.fsdecode(name): os.fsdecode(value) for name, value in found.items()}


def disturbed(bed: Bed, *argv: str) -> subprocess.Popen[str]:
    command = bed.command("load", "failover", "--json", "-q", "--settle", "1s", "--rate", "30",
                          "--documents", "1", "--fail-timeout", "2s", *argv)  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=bed.env,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def stored(bed: Bed, found: dict[str, Any]) -> dict[str, Any]:
    done = bed("load", "export", found["run"], "-f", "json")
    assert done.returncode == 0, done.stderr
    text: dict[str, Any] = json.loads(done.stdout)
    assert "FAILED" in bed("load", "show", found["run"]).stdout
    return text


def test_what_is_drained_comes_back_with_what_it_had(
    bed: Bed, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = profile.servers[0]
    before = environ(profile, server)
    spec = folder_of(profile, server).read_spec()
    assert before.items() >= {**SHELL, "MAX_PARALLEL_REQUESTS": "4"}.items()
    for name, value in (("ENABLE_PREDICTION_CACHE", "true"), ("MKL_NUM_THREADS", "1")):
        monkeypatch.setenv(name, value)  # of whoever tests
    with begin(profile) as journal:
        drill = Drill(profile, journal)
        drill.drain(server)
        drill.bring_back(server)
        assert journal.names == ()
    after = environ(profile, server)
    # Held to the sizes that its warm-up had chosen.
    held = {"OPSCONSOLE_BATCH_TOKENS", "OPSCONSOLE_THREADS"}
    assert "OPSCONSOLE_BATCH_TOKENS" in after.keys() - before.keys() <= held
    assert {name: after[name] for name in before} == before
    now = folder_of(profile, server).read_spec()
    assert now._replace(env={n: v for n, v in now.env.items() if n not in held}) == spec


def test_after_a_kill_it_comes_back_with_what_is_written_down(bed: Bed, profile: Profile) -> None:
    server = profile.servers[0]
    before = environ(profile, server)
    with begin(profile) as journal:
        Drill(profile, journal).drain(server)  # and here its process ends without a word
    (path,) = Path(bed.env["XDG_STATE_HOME"]).rglob(".failover.json")
    for secret in ("HF_TOKEN", "HTTP_PROXY"):
        assert SHELL[secret] not in path.read_text()
        before.pop(secret)
    assert path.stat().st_mode & 0o077 == 0
    with begin(profile) as journal:
        assert put_back(profile, journal) == [
            "r1: running again", "r1: without HF_TOKEN, HTTP_PROXY: secrets are in no file"
        ]  # fmt: skip
    after = environ(profile, server)
    assert {name: after.get(name) for name in SHELL} == {
        **SHELL, "HF_TOKEN": None, "HTTP_PROXY": None
    }  # fmt: skip
    assert after["MAX_PARALLEL_REQUESTS"] == before["MAX_PARALLEL_REQUESTS"] == "4"


def test_that_a_server_chose_to_compute_otherwise_is_said(bed: Bed, profile: Profile) -> None:
    server = profile.servers[0]
    started = look(profile, server)
    assert not started.unknown
    assert otherwise(server, started) == ""  # float32 was told
    chosen = started._replace(chosen={"DTYPE": "bfloat16"})
    assert otherwise(server, chosen).startswith("r1 computes in float32 now, in bfloat16 before")


def test_one_that_cannot_be_restored_keeps_no_other_away(bed: Bed, profile: Profile) -> None:
    def tell(action: str, name: str, *_: object) -> None:
        if (action, name) == ("server.start", "r1"):
            raise RuntimeError("the trail is gone")

    with begin(profile) as journal:
        drill = Drill(profile, journal, tell)
        for server in profile.servers:
            drill.drain(server)
        drill.restore()
        assert drill.not_restored == ["r1: RuntimeError: the trail is gone"]
        assert journal.names == ("r1",)
        journal.back("r1")
    assert {each["state"] for each in bed.daemons().values()} == {"running"}


def test_a_server_whose_port_is_taken_meanwhile_is_told_with_what_clients_saw(
    bed: Bed, profile: Profile
) -> None:
    before = bed.daemons()
    port = profile.servers[0].port
    with socket.socket() as hog, disturbed(bed) as process:
        hog.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def taken() -> bool:
            try:
                hog.bind(("127.0.0.1", port))
            except OSError:
                return False
            hog.listen()
            return True

        try:
            until(taken, "r1 to be drained")
            out, err = process.communicate(timeout=100)
        finally:
            process.kill()
    assert process.returncode == 2, out + err
    assert f"NOT BROUGHT BACK: r1: port {port} is taken" in err
    found = json.loads(out)
    assert found["verdict"] == "failed"
    checks = {check["what"]: check for check in found["checks"]}
    assert not checks["r1 comes back"]["passed"]
    assert checks["r1 comes back"]["observed"].startswith(f"port {port} is taken")
    assert not checks["everything is as it was"]["passed"]
    # With one away no other was touched.
    assert [outage["server"] for outage in found["outages"]] == ["r1"]
    assert bed.daemons()["r2"]["pid"] == before["r2"]["pid"]
    (away,) = [stage for stage in found["stages"] if stage["name"] == "r1 drained"]
    assert away["requests"] > 30
    assert stored(bed, found)["id"] == found["run"]
    assert "r1: left away by a failover test" in bed("status").stderr
    back = bed("load", "failover", "--restore")
    assert back.stdout.startswith("r1: running again\n")
    assert environ(profile, profile.servers[0])["MAX_PARALLEL_REQUESTS"] == "4"


def test_an_nginx_that_dies_is_told_and_the_run_is_stored(bed: Bed) -> None:
    with disturbed(bed) as process:
        try:
            until(lambda: bed.state("r1") == "stopped", "r1 to be drained")
            (folder,) = leftovers(bed.temporary)
            os.kill(int((folder / "nginx.pid").read_text()), signal.SIGKILL)
            out, err = process.communicate(timeout=100)
        finally:
            process.kill()
    assert process.returncode == 2, out + err
    found = json.loads(out)
    assert found["verdict"] == "failed"
    (check,) = [check for check in found["checks"] if check["what"] == "nginx runs to the end"]
    assert not check["passed"]
    assert not found["not_restored"]
    assert sum(stage["good"] for stage in found["stages"]) > 30
    assert stored(bed, found)["id"] == found["run"]
    assert "nginx runs to the end" in bed("audit").stdout
    assert {each["state"] for each in bed.daemons().values()} == {"running"}
    assert leftovers(bed.temporary) == []
