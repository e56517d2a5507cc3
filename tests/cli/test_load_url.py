"""``opsconsole load --url``: whose server it is, and what is no text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.errors import UsageError
from opsconsole.load import plan_for, store
from opsconsole.load.targets import as_planned, production_of, profile_of
from tests.load.farside import Far
from tests.load.sample_runs import sample_run

HTTP = ("load", "load", "5", "1", "--dialect", "http", "--path", "/health")


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    with Far("exact", size=10) as far:
        yield far


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("OPSCONSOLE_PROFILE", raising=False)
    (tmp_path / "opsconsole" / "profiles").mkdir(parents=True)
    return tmp_path


def ops(*argv: str | bytes) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opsconsole", *argv], capture_output=True, text=True, check=False,
        timeout=60, stdin=subprocess.DEVNULL, errors="replace",
    )  # fmt: skip


def write(path: Path, url: str, environment: str = "production") -> Path:
    path.write_text(
        f"name: {path.stem}\nenvironment: {environment}\n"
        f"servers: [{{name: far, kind: http, url: '{url}'}}]\n"
    )
    return path


def test_a_server_that_a_profile_has_in_production_is_asked_about(home: Path, far: Far) -> None:
    profiles = home / "opsconsole" / "profiles"
    write(profiles / "live.yaml", f"http://localhost:{far.port}/")
    (profiles / "broken.yaml").write_text("servers: 3\n")
    write(profiles / "other.yaml", f"http://localhost:{far.port + 1}/", "staging")
    url = f"http://127.0.0.1:{far.port}"
    before = far.counts().requests
    done = ops(*HTTP, "--url", url)
    assert done.returncode == 64
    assert "live is production" in done.stderr
    assert far.counts().requests == before
    assert ops(*HTTP, "--url", url, "--yes").returncode == 0
    assert far.counts().requests > before


def test_only_the_profiles_own_servers_are_production(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = write(home / "named.yaml", "https://Rerank.example.com")
    meant = profile_of("http://rerank.example.com:443/base")
    assert production_of(meant) is None
    monkeypatch.setenv("OPSCONSOLE_PROFILE", str(named))
    found = production_of(meant)
    assert found is not None
    assert found.name == "named"
    assert production_of(profile_of("http://rerank.example.com:80")) is None
    write(named, "https://rerank.example.com", "staging")
    assert production_of(meant) is None
    write(named, "unix:/run/rerank.sock")
    assert production_of(profile_of("unix:/run/rerank.sock")) is not None
    assert production_of(profile_of("unix:/run/other.sock")) is None


def test_a_baseline_of_one_server_is_none_of_another(home: Path, far: Far) -> None:
    """A gate finds that of its own server only; and numbers of the command line that make another
    load each time are not told each time that they do."""
    url = f"http://127.0.0.1:{far.port}"
    base = sample_run(run_id="20261121-100000-load-aaaa", plan="load", seconds=9, errors=False)
    base.profile = url
    store.save(base)
    store.set_baseline(base.id)
    argv = (*HTTP, "-t", "success_rate > 50%")
    gate = ("--fail-if-worse", "5%")
    other = ops(*argv, "--url", f"http://localhost:{far.port}", *gate)
    assert other.returncode == 64
    assert "no run to compare with" in other.stderr
    again = ops(*argv, "--url", f"{url}/")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "compare" not in again.stdout + again.stderr
    assert store.look_up("latest").profile == url
    gated = ops(*argv, "--url", url, *gate)
    assert gated.returncode == 3
    assert "of different plans" in gated.stderr


@pytest.mark.parametrize("before", [True, False])
def test_a_profile_and_a_url_contradict_each_other(home: Path, far: Far, before: bool) -> None:
    option = ("-p", str(write(home / "p.yaml", f"http://127.0.0.1:{far.port}")))
    url = ("--url", f"http://127.0.0.1:{far.port}")
    sent = far.counts().requests
    done = ops(*option, *HTTP, *url) if before else ops(*HTTP, *option, *url)
    assert done.returncode == 64
    assert "--url" in done.stderr
    assert "--profile" in done.stderr
    assert far.counts().requests == sent


def test_a_server_of_the_dialect_http_is_anybodys() -> None:
    profile = profile_of("http://127.0.0.1:9")
    plan = plan_for("load", dialect="http", path="/x")
    assert [server.kind for server in as_planned(profile, plan).servers] == ["http"]
    assert as_planned(profile, plan_for("load")) == profile


def test_nobody_elses_server_is_polled(home: Path) -> None:
    with Far("exact", size=10) as far:
        done = ops("load", "rate", "20", "-d", "2s", "--warmup", "0s", "--dialect", "http",
                   "--path", "/x", "-t", "success_rate > 99%",
                   "--url", f"http://127.0.0.1:{far.port}")  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert far.counts().requests == 40


@pytest.mark.parametrize(
    "argv",
    [
        ("--body", b"a\xffb", "--method", "POST"), ("--model", b"\xff"), ("--replay", b"/tmp/\xff"),
        ("--header", b"X-A: \xff"), ("--header", b"X-\xff: a"), ("--threshold", b"p95 < 1\xff"),
        ("--server", b"\xff"), ("--path", b"/\xff"), ("--url", b"http://127.0.0.1:9/\xff"),
        ("--url", b"unix:/tmp/\xff"), ("--abort-on", b"\xff"), ("--stage", b"\xff"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_text_is_refused(home: Path, argv: tuple[str | bytes, ...]) -> None:
    done = ops(*HTTP, *([] if "--url" in argv else ["--url", "http://127.0.0.1:9"]), *argv)
    assert done.returncode == 64, done.stderr
    assert "not Unicode text" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "state" / "opsconsole" / "loads").exists()


@pytest.mark.parametrize(
    "argv", [("load", b"\xff"), ("load", "load", "--against", b"\xff"), ("load", "show", b"\xff")],
    ids=str,
)  # fmt: skip
def test_no_word_of_no_text_is_a_traceback(home: Path, argv: tuple[str | bytes, ...]) -> None:
    done = ops(*argv)
    assert done.returncode == 64, done.stderr
    assert "Traceback" not in done.stderr


def test_a_replay_file_of_no_text_name_is_refused_though_it_is_there(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.jsonl"
    Path(os.fsdecode(file)).write_text("{}\n")
    with pytest.raises(UsageError, match="not Unicode text") as caught:
        plan_for("replay", replay=os.fsdecode(file))
    assert caught.value.where == "replay"
