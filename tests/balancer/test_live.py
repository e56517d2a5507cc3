"""A real nginx with the generated configuration, in front of real servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from opsconsole.balancer import nginx
from opsconsole.balancer.running import OwnNginx
from opsconsole.errors import OpsError
from tests.balancer.bed import ask, leftovers, needs_nginx, pool
from tests.certificates import make_certificate
from tests.load.farside import Far
from tests.net import free_port
from tests.server.process import until

pytestmark = needs_nginx


@contextmanager
def balancing(*urls: str, **options: object) -> Iterator[OwnNginx]:
    with OwnNginx(nginx.required(), pool(*urls, **options)) as own:
        yield own


def url(far: Far) -> str:
    return f"http://{far.host}:{far.port}"


def test_the_checklists_own_lines_pass_the_errors_of_a_post_on() -> None:
    """Every second POST gets the 503 of a server whose queue is full, and nobody is ejected."""
    with Far("busy") as busy, Far("good") as good:
        with balancing(url(busy), url(good), style="checklist", fail_timeout=30.0) as own:
            statuses = [ask(own.url).status for _ in range(20)]
        assert sorted(statuses) == [200] * 10 + [503] * 10
        assert busy.counts().requests == 10


def test_ours_do_not_and_eject_it() -> None:
    with Far("busy") as busy, Far("good") as good:
        with balancing(url(busy), url(good), max_fails=3, fail_timeout=30.0) as own:
            answers = [ask(own.url) for _ in range(20)]
        assert [answer.status for answer in answers] == [200] * 20
        assert busy.counts().requests == 3
        assert {answer.upstreams[-1] for answer in answers} == {f"127.0.0.1:{good.port}"}
    entries = own.log.entries
    assert len(entries) == 20
    passed_on = [entry for entry in entries if len(entry.tries) > 1]
    assert [entry.tries[0][1] for entry in passed_on] == [503] * 3


def test_an_overload_of_all_servers_does_not_become_a_502_of_everything() -> None:
    """Both fail now and then, so both are ejected; those asked then are the same, as a backup."""
    with (
        Far("busy", nth=2) as one,
        Far("busy", nth=2) as two,
        balancing(url(one), url(two), max_fails=1, fail_timeout=30.0) as own,
    ):
        statuses = [ask(own.url).status for _ in range(40)]
    assert 502 not in statuses
    assert statuses.count(200) > 20


def test_a_dead_server_costs_no_answer() -> None:
    with Far("good") as good, balancing(f"http://127.0.0.1:{free_port()}", url(good)) as own:
        assert [ask(own.url).status for _ in range(10)] == [200] * 10


def test_what_is_passed_on_and_what_is_not() -> None:
    with Far("good") as good, balancing(url(good) + "/v1/x") as own:
        assert ask(own.url, path="/rerank?a=1").status == 200
        assert good.counts().paths == {"/v1/x/rerank": 1}
        assert ask(own.url, "GET", "/health").status == 200
        assert good.counts().paths["/v1/x/health"] == 1
        assert ask(own.url, "GET", "/balancer-health").body == b"ok\n"
        assert good.counts().requests == 2
        # What the server would refuse is not sent to it.
        assert ask(own.url, body=b"x", **{"Content-Length": str(33 << 20)}).status == 413
        assert good.counts().requests == 2


def test_a_request_keeps_its_id_or_gets_one() -> None:
    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (self.headers["X-Request-ID"] or "none").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with balancing(f"http://127.0.0.1:{server.server_port}") as own:
            assert ask(own.url, "GET", **{"X-Request-ID": "mine"}).body == b"mine"
            made = ask(own.url, "GET").body
        server.shutdown()
    assert re.fullmatch(rb"[0-9a-f]{32}", made)


def test_tls_servers_are_verified(tmp_path: Path) -> None:
    ours, other = make_certificate(tmp_path, "ours"), make_certificate(tmp_path, "other")
    with Far("good", cert=str(ours.cert), key=str(ours.key)) as good:
        place = f"https://127.0.0.1:{good.port}"
        with balancing(place, ca=str(ours.cert)) as own:
            assert ask(own.url).status == 200
        with balancing(place, ca=str(other.cert)) as own:
            assert ask(own.url).status == 502


def test_ipv6() -> None:
    with Far("good", host="::1") as good, balancing(f"http://[::1]:{good.port}") as own:
        answer = ask(own.url)
        assert answer.status == 200
        assert answer.upstreams == [f"[::1]:{good.port}"]


def test_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = f"{name}/far.sock"
        with Far("good", unix=path) as good, Far("good") as other:
            Path(path).chmod(0o777)  # the worker may be of another user
            with balancing(f"unix:{path}", url(other)) as own:
                answered = {ask(own.url).upstreams[-1] for _ in range(10)}
            assert answered == {f"unix:{path}", f"127.0.0.1:{other.port}"}
            assert {entry.answered for entry in own.log.entries} == answered
            assert good.counts().requests == 5


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that no other test uses."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_nothing_of_it_stays(temporary: Path) -> None:
    with balancing("http://127.0.0.1:9") as own:
        (ours,) = leftovers(temporary)
        pid = int((ours / "nginx.pid").read_text())
    assert leftovers(temporary) == []
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        ask(own.url)


def test_what_keeps_it_from_starting_is_told_and_nothing_stays(temporary: Path) -> None:
    missing = temporary / "missing.pem"
    with (
        pytest.raises(OpsError, match=r"nginx does not start: .*missing\.pem"),
        balancing("https://localhost:9", ca=str(missing)),
    ):
        pass
    assert leftovers(temporary) == []


def test_it_ends_when_whoever_started_it_is_killed() -> None:
    code = (
        "import time\n"
        "from opsconsole.balancer import nginx\n"
        "from opsconsole.balancer.running import OwnNginx\n"
        "from tests.balancer.bed import pool\n"
        "own = OwnNginx(nginx.required(), pool('http://127.0.0.1:9'))\n"
        "own.start()\n"
        "print(own.url, own.folder, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as parent:
        assert parent.stdout is not None
        place, folder = parent.stdout.readline().split()
        assert ask(place, "GET", "/balancer-health").status == 200
        pid = int((Path(folder) / "nginx.pid").read_text())
        parent.send_signal(signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid), "nginx to end")
    until(lambda: not Path(folder).exists(), "its folder to go")
