"""``opsconsole generate nginx`` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.balancer import nginx
from tests.balancer.bed import ask, needs_nginx
from tests.load.farside import Far
from tests.net import free_port
from tests.server.process import until

PROFILE = (
    "name: trio\ntitle: Three of them\nservers:\n"
    "  - {name: a, url: 'http://127.0.0.1:18001'}\n"
    "  - {name: b, url: 'http://127.0.0.1:18002'}\n"
    "  - {name: c, url: 'https://far.example:18003', kind: http}\n"
)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "trio.yaml"
    path.write_text(PROFILE)
    return path


def run(profile: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opsconsole", "-p", str(profile), "generate", "nginx", *argv],
        capture_output=True, text=True, check=False, env={**os.environ, **env}, timeout=60,
    )  # fmt: skip


@needs_nginx
def test_it_is_written_when_nginx_accepts_it(profile: Path, tmp_path: Path) -> None:
    out = tmp_path / "balancer.conf"
    done = run(profile, "--servers", "a,b", "--listen", "127.0.0.1:18000", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "accepts it" in done.stderr
    text = out.read_text()
    assert "server 127.0.0.1:18002 max_fails=3 fail_timeout=10s;  # b" in text
    assert "non_idempotent" in text
    # One that opsconsole wrote is written again; any other is not.
    assert run(profile, "--servers", "a", "-o", str(out)).returncode == 0
    out.write_text("# mine\n")
    refused = run(profile, "--servers", "a", "-o", str(out))
    assert refused.returncode == 64
    assert "--force" in refused.stderr
    assert out.read_text() == "# mine\n"
    assert run(profile, "--servers", "a", "-o", str(out), "--force").returncode == 0


@needs_nginx
def test_what_nginx_refuses_is_not_written(profile: Path, tmp_path: Path) -> None:
    out = tmp_path / "balancer.conf"
    done = run(profile, "--servers", "a", "-o", str(out), "--listen", "127.0.0.1:18000",
               "--cert", str(tmp_path / "none.pem"), "--key", "none.key")  # fmt: skip
    assert done.returncode == 2
    assert "none.pem" in done.stderr
    assert "nothing was written" in done.stderr
    assert not out.exists()
    assert run(profile, "-s", "a", "-o", str(out), "--no-check", "--cert", "x",
               "--key", "y").returncode == 0  # fmt: skip
    assert out.exists()


def test_where_it_cannot_be_written_nginx_is_not_asked(profile: Path) -> None:
    done = run(profile, "-o", "/nonexistent/balancer.conf")
    assert done.returncode == 64
    assert "nothing can be written there" in done.stderr
    assert "nginx" not in done.stderr


def test_servers_of_two_schemes_are_refused(profile: Path) -> None:
    done = run(profile)
    assert done.returncode == 64
    assert "the servers differ in their scheme" in done.stderr


def test_without_nginx_it_is_written_and_said(
    profile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from opsconsole.cli import main

    monkeypatch.setattr(nginx, "_PLACES", ())
    monkeypatch.setenv("PATH", "/nowhere")
    for argv, code in (((), 0), (("--check",), 3)):
        monkeypatch.setattr(
            sys, "argv", ["opsconsole", "-p", str(profile), "generate", "nginx", "-s", "a,b", *argv]
        )
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == code
        told = capsys.readouterr()
        assert "nginx is not installed" in told.err
        assert ("upstream opsconsole_trio {" in told.out) is (code == 0)


@needs_nginx
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_whole_file_runs_without_rights(tmp_path: Path) -> None:
    """As ``nobody``, who may write nowhere but where the file says."""
    home = Path(f"/tmp/opsconsole-nobody-{os.getpid()}")
    binary = nginx.required()
    port = free_port()
    with Far("good") as far:
        profile = tmp_path / "one.yaml"
        profile.write_text(
            f"name: one\nservers: [{{name: a, kind: http, url: 'http://127.0.0.1:{far.port}'}}]\n"
        )
        out = home / "nginx.conf"
        home.mkdir(mode=0o755)
        try:
            done = run(profile, "--whole", "-o", str(out), "--listen", f"127.0.0.1:{port}",
                       XDG_STATE_HOME=str(home / "state"))  # fmt: skip
            assert done.returncode == 0, done.stderr
            subprocess.run(["chown", "-R", "nobody", str(home)], check=True)
            early = ["-e", "stderr"] if binary.early_log else []
            with subprocess.Popen([binary.path, *early, "-c", str(out), "-g", "daemon off;"],
                                  user="nobody", group=65534, extra_groups=[],
                                  stderr=subprocess.PIPE) as process:  # fmt: skip
                try:
                    url = f"http://127.0.0.1:{port}"
                    until(lambda: _answers(url) or process.poll() is not None, "nginx to answer")
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    assert ask(url).status == 200
                finally:
                    process.send_signal(signal.SIGQUIT)
                    process.wait(20)
        finally:
            subprocess.run(["rm", "-rf", str(home)], check=True)


def _answers(url: str) -> bool:
    try:
        return ask(url, "GET", "/balancer-health").status == 200
    except OSError:
        return False
