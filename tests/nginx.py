"""A real nginx with a configuration of the test's own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsconsole.balancer import nginx
from tests.net import free_port
from tests.server.process import until

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        {server}
    }}
}}
"""


def configure(folder: Path, port: int, server: str) -> Path:
    """Write the file of an nginx that listens at ``port``, with what stands in ``server { }``."""
    path = folder / "nginx.conf"
    path.write_text(CONFIG.format(folder=folder, port=port, server=server))
    return path


@contextmanager
def serving(folder: Path, server: str) -> Iterator[int]:
    """Run it; yields its port."""
    port = free_port()
    path = configure(folder, port, server)
    process = subprocess.Popen(nginx.required().command(folder, path), stdin=subprocess.DEVNULL)
    try:
        until(lambda: _accepts(port, process), "nginx to listen")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _accepts(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "nginx ended"
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
