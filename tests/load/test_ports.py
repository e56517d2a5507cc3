"""No local port left: that is this machine's trouble, from the first connection on."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.load.generator.failures import NoPortLeft, can_be_sent_to, kind_of, our_failure
from opsconsole.load.generator.pool import Flight, Pool
from opsconsole.load.messages import Target


def test_an_address_that_can_be_sent_to() -> None:
    assert can_be_sent_to(socket.AF_INET, ("127.0.0.1", 9))
    # A link's own address says nothing without the name of the link.
    assert not can_be_sent_to(socket.AF_INET6, ("fe80::1", 9, 0, 0))


class _NoPorts(asyncio.SelectorEventLoop):
    """The system as it is when the last port is taken."""

    async def sock_connect(self, sock: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


@pytest.mark.parametrize(
    ("host", "ours"), [("127.0.0.1", "no ports"), ("fe80::1", None)], ids=["no port", "no address"]
)
def test_the_first_connection_tells_them_apart(host: str, ours: str | None) -> None:
    loop = _NoPorts()
    try:
        target = Target(name="t", host=host, port=9)
        flight = Flight(loop, 10.0)
        pool = Pool(loop, flight, target, 0, upstream_header="", bodiless=False)
        with pytest.raises(OSError, match="assign requested address") as caught:
            loop.run_until_complete(pool._socket())
    finally:
        loop.close()
    assert our_failure(caught.value) == ours
    assert isinstance(caught.value, NoPortLeft) is (ours is not None)
    if ours is None:
        assert kind_of(caught.value) == "unreachable"


_HELD = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 9))
held = []
for port in range(40000, 40021):
    sock = socket.socket()
    sock.bind(("0.0.0.0", port))
    held.append(sock)
    other = socket.socket(socket.AF_INET6)
    other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    other.bind(("::", port))
    held.append(other)
sys.exit(subprocess.call(sys.argv[1:]))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_a_machine_without_ports_is_invalid_and_accuses_nobody(tmp_path: Path) -> None:
    """In a network of its own that has 21 ports, all of them taken."""
    inside = (
        "ip link set lo up && "
        'echo 40000 40020 > /proc/sys/net/ipv4/ip_local_port_range && exec "$@"'
    )
    load = [
        sys.executable, "-m", "opsconsole", "load", "load", "20", "4", "--dialect", "http",
        "--path", "/", "--url", "http://127.0.0.1:9", "-t", "success_rate > 99%", "--warmup", "0s",
        "-f", "json",
    ]  # fmt: skip
    namespace = ["unshare", "-rn", "sh", "-c", inside, "sh"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")
    done = subprocess.run(
        [*namespace, sys.executable, "-c", _HELD, *load], capture_output=True, text=True,
        check=False, timeout=60, env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["invalid"]
    assert "no ports" in done.stdout
    assert "unreachable" not in done.stdout
