"""The command line as a user runs it: one real daemon for all tests, its answers and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.net import free_port, http, sends, talking

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("cli")]


def run(
    *argv: str, env: dict[str, str] | None = None, **more: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opsconsole", *argv], capture_output=True, text=True, check=False,
        env={**os.environ, **(env or {})}, timeout=120, **more,
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


class Home:
    """A profile with one daemon, in folders of its own that outlive a single test."""

    def __init__(self, folder: Path) -> None:
        self.profile = folder / "one.yaml"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.profile.write_text(
            "name: one\ndefaults: {interval: 200ms, service_level: {p95: 20s}}\nservers:\n"
            f"  - {{name: main, url: '{self.url}', "
            "daemon: {stop_grace: 10s, env: {OPSCONSOLE_WARMUP: false}}}\n"
        )
        self.env = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder)}

    def __call__(self, *argv: str, **more: object) -> subprocess.CompletedProcess[str]:
        return run("-p", str(self.profile), *argv, env=self.env, **more)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("cli"))
    started = home("start", "--json")
    assert started.returncode == 0, started.stderr
    yield home
    home("stop")


@pytest.mark.parametrize(
    "argv",
    ["stop", "restart --rolling", "tune", "serve", "load load 3", "load failover",
     "load delete latest --yes", "load baseline latest"],
)  # fmt: skip
def test_read_only_keeps_commands_from_changing_anything(home: Home, argv: str) -> None:
    refused = home("--read-only", *argv.split())
    assert refused.returncode == 64, refused.stdout + refused.stderr
    assert "--read-only" in refused.stderr
    assert home("--read-only", "status").returncode == 0
    assert home("--read-only", "load", "list").returncode == 0


@pytest.mark.parametrize("option", ["--check", "--start", "--format=json", "--server=main"])
def test_what_a_command_would_not_heed_is_refused(home: Home, option: str) -> None:
    refused = home(option, "status")
    assert refused.returncode == 64
    assert option.partition("=")[0] in refused.stderr


def test_status_in_words_and_in_json(home: Home) -> None:
    words = home("status")
    assert words.returncode == 0
    assert "main" in words.stdout
    (found,) = json.loads(home("status", "--json").stdout)
    assert found["name"] == "main"
    assert found["ready"] is True
    assert str(found["pid"]) in words.stdout


def test_start_again_changes_nothing(home: Home) -> None:
    (before,) = json.loads(home("status", "--json").stdout)
    assert home("start").returncode == 0
    (after,) = json.loads(home("status", "--json").stdout)
    assert (before["pid"], before["keeper_pid"]) == (after["pid"], after["keeper_pid"])


@pytest.mark.parametrize("form", ["text", "json", "junit", "nagios"])
def test_the_verdict_of_a_healthy_server_is_0_in_every_format(home: Home, form: str) -> None:
    done = home("--check", "--format", form)
    assert done.returncode == 0, done.stdout
    if form == "json":
        checks = {c["check"]: c["state"] for c in json.loads(done.stdout)["checks"]}
        wanted = ["process", "health", "backend", "rerank", "latency"]
        assert checks == dict.fromkeys(wanted, "pass")
    elif form == "junit":
        suite = ElementTree.fromstring(done.stdout).find("testsuite")
        assert suite is not None
        assert suite.get("tests") == "5"
    else:
        assert "OK" in done.stdout or "pass" in done.stdout


def test_rank_orders_documents(home: Home) -> None:
    done = home("rank", "capital of France", "I like fish", "Paris is the capital", "--json")
    (ranking,) = json.loads(done.stdout)
    assert [index for index, _ in ranking["results"]] == [1, 0]
    assert home("rank", "q", input="a\nb\n").returncode == 0


def test_rank_with_the_embedded_engine_agrees(home: Home) -> None:
    argv = ["rank", "fish", "I like fish", "cars", "--embedded", "--server", "main", "--json"]
    rankings = json.loads(home(*argv).stdout)
    assert len(rankings) == 2
    scores = [dict(map(tuple, r["results"])) for r in rankings]
    # Each may have taken a reduced precision: which, depends on the processor.
    assert scores[0][0] == pytest.approx(scores[1][0], abs=0.02)


def test_logs_print_the_end_and_follow_prints_what_comes(home: Home) -> None:
    home("rank", "query", "document")
    end = home("logs", "-n", "3")
    assert end.returncode == 0
    assert len(end.stdout.splitlines()) == 3
    tail = subprocess.Popen(
        [sys.executable, "-m", "opsconsole", "-p", str(home.profile), "tail", "-n", "0", "--raw"],
        stdout=subprocess.PIPE, env={**os.environ, **home.env},
    )  # fmt: skip
    try:
        assert tail.stdout is not None
        os.set_blocking(tail.stdout.fileno(), False)
        got, deadline = b"", time.monotonic() + 60
        while b"/v1/rerank" not in got:
            assert time.monotonic() < deadline
            home("rank", "query", "document")
            got += tail.stdout.read() or b""
        while tail.poll() is None:  # on a busy machine one was lost: why is not known
            assert time.monotonic() < deadline
            tail.send_signal(signal.SIGINT)
            time.sleep(0.5)
        assert tail.returncode == 130
    finally:
        if tail.poll() is None:
            tail.kill()
            tail.wait()
        if tail.stdout is not None:
            tail.stdout.close()


def test_get_prints_what_the_checklists_jq_lines_read(home: Home) -> None:
    health = json.loads(home("get", "main", "health").stdout)
    assert health["status"] == "healthy"
    assert (health["model"]["backend"], health["model"]["device"]) == ("pytorch", "cpu")
    assert health["controller"]["max_parallel"] >= 1
    metrics = json.loads(home("get", "main", "metrics").stdout)
    assert {"total_requests", "success_rate"} <= set(metrics)


def test_watch_ends_after_its_count(home: Home) -> None:
    lines = home("watch", "--json", "-n", "3").stdout.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["up"] * 3


def test_actions_are_on_the_audit_trail(home: Home) -> None:
    trail = json.loads(home("audit", "--json").stdout)
    assert trail[0]["action"] == "server.start"
    assert trail[0]["via"] == "cli"
    assert trail[0]["target"] == "main"


def test_the_verdict_of_a_stopped_server_is_2(tmp_path: Path) -> None:
    home = Home(tmp_path)
    done = home("--check", "--format", "json")
    assert done.returncode == 2
    states = {c["check"]: c["state"] for c in json.loads(done.stdout)["checks"]}
    assert states["process"] == states["health"] == "fail"
    assert states["rerank"] == "unknown"
    assert home("status").returncode == 2


def test_a_server_that_is_not_ours_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    body = b'{"status": "healthy", "model": {"backend": "pytorch", "device": "mlx"}}'
    with talking(sends(http(body).replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"))) as url:
        path.write_text(f"name: p\nservers: [{{name: a, url: '{url}'}}]\n")
        done = run("-p", str(path), "--check", "--format", "json")
    states = {c["check"]: c["state"] for c in json.loads(done.stdout)["checks"]}
    assert done.returncode == 2
    assert states["health"] == "pass"
    assert states["backend"] == states["rerank"] == "fail"


def test_a_missing_secret_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("name: p\nservers: [{name: a, url: 'http://h:1', api_key: '${OPS_NO_KEY}'}]\n")
    done = run("-p", str(path), "--check")
    assert done.returncode == 3
    assert "OPS_NO_KEY" in done.stdout


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["strat"], "did you mean 'start'?"),
        (["--chekc"], "--check"),
        (["-p", "nowhere", "--check"], "there is no profile"),
        (["start", "nobody"], "there is no daemon 'nobody'"),
        (["--check", "--format", "xml"], "xml"),
        (["--check", "status"], "goes with no command"),
        (["--server", "x"], "--check"),
        (["rank", "q", "d", "--server", "nobody"], "nobody"),
        (["get", "nobody", "health"], "there is no server"),
        (["logs", "-n", "many"], "many"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_mistakes_are_64_and_one_line(argv: list[str], words: str) -> None:
    done = run(*argv)
    assert done.returncode == 64, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_profiles_are_validated_shown_and_described(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    shown = run("profile", "show", "reranker")
    good.write_text(shown.stdout)
    assert run("profile", "validate", str(good)).returncode == 0
    bad.write_text("name: x\nservers: [{name: a, url: 'http://h', intervall: 1s}]\n")
    done = run("profile", "validate", str(good), str(bad))
    assert done.returncode == 64
    assert f"{bad}:2:38" in done.stderr
    assert "did you mean 'interval'?" in done.stderr
    assert json.loads(run("profile", "schema").stdout)["$defs"]
    assert "reranker" in run("profile", "list").stdout


def test_help_names_every_verb_and_completion_is_a_script() -> None:
    text = run("--help").stdout
    for verb in ("start", "stop", "restart", "status", "logs", "tail", "serve", "profile", "rank"):
        assert verb in text
    assert "opsconsole" in run("completion", "bash").stdout


def test_a_reader_that_goes_away_is_no_error(home: Home) -> None:
    argv = f"{sys.executable} -m opsconsole -p {home.profile} logs -n 10000 | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", argv], capture_output=True, text=True, check=False,
        env={**os.environ, **home.env},
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""


def test_text_that_is_not_utf8_is_ranked_and_no_crash(home: Home) -> None:
    argv = [sys.executable, "-m", "opsconsole", "-p", str(home.profile), "rank", "pet"]
    done = subprocess.run(
        argv, input=b"\xff\xfe\x1b[31mx\ncat\n", capture_output=True, check=False,
        env={**os.environ, **home.env, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    "argv",
    [["--check", "--server", "nobody"], ["--check", "--start"], ["rank", " ", "document"]],
    ids=" ".join,
)
def test_mistakes_are_usage_and_not_an_outage(argv: list[str]) -> None:
    done = run(*argv)
    assert done.returncode == 64
    assert done.stdout == ""
