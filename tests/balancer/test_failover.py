"""``opsconsole load failover`` as an operator runs it: real daemons, a real nginx."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole import daemon
from tests.balancer.bed import leftovers, needs_nginx
from tests.balancer.duo import Bed
from tests.load.farside import Far
from tests.net import free_port
from tests.server.process import until

pytestmark = [needs_nginx, pytest.mark.timeout(300), pytest.mark.xdist_group("failover")]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("failover"))
    started = made("start")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield made
    finally:
        made("stop")


def test_a_drained_and_a_killed_server_come_back_and_the_run_is_stored(bed: Bed) -> None:
    before = bed.daemons()
    done = bed("load", "failover", "--json", "-q", "--settle", "1s", "--fail-timeout", "2s",
               "--documents", "1")  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == {"passed": 0, "failed": 2, "invalid": 3}[found["verdict"]]
    assert not found["not_restored"]
    assert found["settings"]["fail_timeout"] == 2
    assert leftovers(bed.temporary) == []

    after = bed.daemons()
    assert {each["state"] for each in after.values()} == {"running"}
    assert all(after[name]["pid"] != before[name]["pid"] for name in ("r1", "r2"))
    assert after["r2"]["restarts"] == before["r2"]["restarts"] + 1

    drained, killed = found["outages"]
    assert (drained["server"], drained["how"], drained["by"]) == ("r1", "drained", "opsconsole")
    assert (killed["server"], killed["how"], killed["by"]) == ("r2", "killed", "its keeper")
    assert drained["ejected"] is not None
    checks = {check["what"]: check for check in found["checks"]}
    for what in ("r1 is ejected", "r1 returns", "r2 returns", "r2 is started by its keeper",
                 "everything is as it was", "X-Upstream and nginx's log agree",
                 "r1's own counter agrees", "r2's own counter agrees"):  # fmt: skip
        assert checks[what]["passed"], checks[what]

    # While r1 was away nobody but r2 answered, and clients were told of no failure.
    (away,) = [stage for stage in found["stages"] if stage["name"] == "r1 starts"]
    assert set(away["answers"]) <= {"r1", "r2"}
    sent = sum(stage["requests"] for stage in found["stages"])
    assert sum(stage["good"] for stage in found["stages"]) >= 0.9 * sent

    stored = json.loads(bed("load", "export", found["run"], "-f", "json").stdout)
    assert stored["id"] == found["run"]
    shown = bed("load", "show", found["run"]).stdout
    assert "r1 drained" in shown
    audit = bed("audit").stdout
    assert "load.failover" in audit
    for action, name in (("stop", "r1"), ("start", "r1"), ("kill", "r2")):
        assert re.search(rf"server\.{action} +duo/{name} .*failover test", audit), audit
    assert "r1,r2" in audit


def test_ctrl_c_brings_back_what_is_away(bed: Bed) -> None:
    command = bed.command("load", "failover", "-q", "--settle", "1s", "--rate", "30",
                          "--documents", "1", "--fail-timeout", "20s")  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=bed.env,
        stdin=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            until(lambda: bed.state("r1") == "stopped", "r1 to be drained")
            process.send_signal(signal.SIGTSTP)  # Ctrl-Z: it must not stay away
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=100)
        finally:
            process.kill()
    assert process.returncode == 130, out + err
    assert "not suspended: a server may be away" in err
    assert "bringing the servers back first" in err
    # Of what was measured until then a busy machine may have spoilt or failed a part.
    assert any(word in out for word in ("STOPPED", "INVALID", "FAILED")), out
    assert {each["state"] for each in bed.daemons().values()} == {"running"}
    assert leftovers(bed.temporary) == []


def test_a_killed_server_that_nobody_keeps_alive_is_started_by_us(bed: Bed) -> None:
    from opsconsole.balancer.away import begin
    from opsconsole.balancer.outages import Drill
    from opsconsole.profile import load

    never = bed.profile.with_name("never.yaml")
    never.write_text(
        "name: never\nservers: [{name: r9, url: 'http://127.0.0.1:%d', "  # noqa: UP031
        "daemon: {restart: never, env: {DTYPE: float32, OPSCONSOLE_WARMUP: false}}}]\n"
        % free_port()
    )
    profile = load(str(never))
    (server,) = profile.servers
    told: list[str] = []
    journal = begin(profile)
    drill = Drill(profile, journal, lambda action, *_: told.append(action))
    drill.bring_back(server)
    try:
        assert drill.await_restart(server, drill.kill(server)) == "opsconsole"
        drill.drain(server)
        assert journal.names == ("r9",)
        drill.restore()
        assert drill.not_restored == []
        assert journal.names == ()
        assert told == ["server.start", "server.kill", "server.start",
                        "server.stop", "server.start"]  # fmt: skip
        assert daemon.status(profile, server).state is daemon.DaemonState.RUNNING
    finally:
        daemon.stop(profile, server)


def test_what_is_refused_touches_nobody(bed: Bed) -> None:
    before = bed.daemons()
    for argv, code, said in (
        (("-s", "r1"), 3, "needs two healthy servers"),
        (("--rate", "1"), 64, "too few to see 2 servers ejected"),
        (("--drain", "r7"), 64, "'r7' is not among the healthy servers"),
        (("-s", "r1,r9"), 64, "there is no server 'r9'"),
        (("--nginx", "/nowhere/nginx"), 64, "there is no nginx at /nowhere/nginx"),
        (("--nginx", sys.executable), 64, "does not say that it is nginx"),
        (("--fail-timeout", "2.5s"), 64, "whole seconds"),
        (("-t", "success > 1"), 64, "unknown metric"),
        (("--only-load", "--kill", "r1"), 64, "drains and kills nobody"),
    ):
        done = bed("load", "failover", *argv)
        assert done.returncode == code, (argv, done.stderr)
        assert said in done.stderr, (argv, done.stderr)
    text = bed.profile.read_text().replace("development", "production")
    bed.profile.with_name("prod.yaml").write_text(text.replace("name: duo", "name: prod"))
    prod = bed.command("load", "failover")
    prod[prod.index(str(bed.profile))] = str(bed.profile.with_name("prod.yaml"))
    done = subprocess.run(prod, capture_output=True, text=True, env=bed.env, check=False,
                          stdin=subprocess.DEVNULL)  # fmt: skip
    assert done.returncode != 0
    after = bed.daemons()
    assert {n: each["pid"] for n, each in after.items()} == {
        n: each["pid"] for n, each in before.items()
    }


def test_servers_that_are_no_daemons_are_only_loaded(tmp_path: Path) -> None:
    with Far("good") as one, Far("good") as two:
        profile = tmp_path / "far.yaml"
        profile.write_text(
            "name: far\nenvironment: production\ndefaults: {kind: http}\nservers:\n"
            f"  - {{name: s1, url: 'http://127.0.0.1:{one.port}'}}\n"
            f"  - {{name: s2, url: 'http://127.0.0.1:{two.port}'}}\n"
        )

        def run(*argv: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "opsconsole", "-p", str(profile), "load", "failover", *argv],
                capture_output=True, text=True, check=False, env=dict(os.environ), timeout=60,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

        refused = run()
        assert refused.returncode == 64
        assert "no daemon of this machine" in refused.stderr
        unasked = run("--only-load")
        assert unasked.returncode == 64
        assert "far is production (say --yes" in unasked.stderr
        seen = one.counts().requests
        assert seen <= 2  # it was asked for its health, and nothing else
        done = run("--only-load", "--yes", "--rate", "60", "--settle", "1s", "-q")
        assert done.returncode in (0, 3), done.stdout + done.stderr
        assert "WHILE ALL WERE THERE" in done.stdout
        assert one.counts().requests > 20
        assert two.counts().requests > 20
