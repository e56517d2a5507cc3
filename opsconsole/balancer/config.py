"""The configuration of nginx in front of a pool, with the reason for each line that has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opsconsole.balancer.pool import BALANCER_HEALTH, Pool
from opsconsole.balancer.words import comment, quoted, seconds, size

HEADER = "# Written by opsconsole generate nginx"
UPSTREAM_HEADER = "X-Upstream"
KEEPALIVE = 32
KEEPALIVE_TIMEOUT = 60
"""Below the 75 s of the servers: a connection is closed by the side that would send next."""
TEMP_PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
"""nginx makes all of these folders when it starts, used or not."""
ACCESS_FORMAT = "$msec|$status|$request_time|$upstream_addr|$upstream_status"


def block(pool: Pool) -> str:
    """The ``upstream`` and ``server`` blocks, for the ``http`` block of any nginx from 1.15.3."""
    return "\n".join(_block(pool)) + "\n"


def whole(
    pool: Pool,
    folder: Path,
    *,
    workers: int = 0,
    temp_paths: Sequence[str] = TEMP_PATHS,
    log: bool = False,
    header: Sequence[str] = (),
) -> str:
    """A whole ``nginx.conf`` that needs no rights: everything it writes lies in ``folder``.

    Args:
        workers: Processes; 0: one a core.
        temp_paths: Those of :data:`TEMP_PATHS` that the nginx at hand knows.
        log: Write ``access.log`` in the form of :data:`ACCESS_FORMAT`.
        header: Lines of comment at the top.

    Raises:
        UsageError: the folder's name cannot stand in a configuration.
    """

    def inside(name: str) -> str:
        return quoted(str(folder / name), "folder")

    lines = [
        *header,
        f"worker_processes {workers or 'auto'};",
        f"pid {inside('nginx.pid')};",
        f"error_log {inside('error.log')} warn;",
        "",
        "events {",
        "    worker_connections 1024;",
        "}",
        "",
        "http {",
        *(f"    {name}_temp_path {inside('temp_' + name)};" for name in temp_paths),
    ]
    if log:
        lines += [
            f"    log_format opsconsole '{ACCESS_FORMAT}';",
            f"    access_log {inside('access.log')} opsconsole;",
        ]
    else:
        lines.append(f"    access_log {inside('access.log')};")
    lines += ["", *(f"    {line}" if line else "" for line in _block(pool)), "}"]
    return "\n".join(lines) + "\n"


def _block(pool: Pool) -> Iterator[str]:
    yield from _upstream(pool)
    yield ""
    if pool.style == "checklist":
        yield from _checklist_server(pool)
        return
    request_id = f"${pool.name}_request_id"
    yield "# The client's X-Request-ID, or one of nginx's own: the same in all logs."
    yield f"map $http_x_request_id {request_id} {{"
    yield "    default $http_x_request_id;"
    yield '    ""      $request_id;'
    yield "}"
    yield ""
    yield from _server(pool, request_id)


def _upstream(pool: Pool) -> Iterator[str]:
    ours = pool.style == "own"
    limits = f"max_fails={pool.max_fails} fail_timeout={seconds(pool.fail_timeout)}"
    yield f"# {comment(pool.title or pool.profile)}"
    yield f"upstream {pool.name} {{"
    if ours:
        yield "    # Failures are counted by all worker processes together, not by each alone."
        yield f"    zone {pool.name} 128k;"
    yield "    least_conn;"
    if ours:
        time = seconds(pool.fail_timeout)
        yield f"    # {pool.max_fails} failures within {time}: a server gets nothing for as long."
        yield "    # Then one request tries it again."
    for peer in pool.peers:
        yield f"    server {peer.address} {limits};  # {comment(peer.name)}"
    if ours and len(pool.peers) > 1:
        yield "    # Asked when every server above is out. A full queue is a failure too, so on"
        yield "    # overload of the whole fleet nginx would otherwise answer 502 to everything,"
        yield f"    # without asking anyone, for {seconds(pool.fail_timeout)}."
        for peer in pool.peers:
            yield f"    server {peer.address} max_fails=0 backup;"
    if ours:
        yield "    # Idle connections that each worker keeps open, and for how long: the servers"
        yield "    # close theirs after 75 s, and whoever sends next should be the one that closes."
        yield f"    keepalive {KEEPALIVE};"
        yield f"    keepalive_timeout {KEEPALIVE_TIMEOUT}s;"
    yield "}"


def _checklist_server(pool: Pool) -> Iterator[str]:
    """As the deployment checklist has it; only ``add_header`` is added, to see who answered."""
    yield "server {"
    yield f"    listen {pool.listen};"
    yield "    location / {"
    yield f"        proxy_pass {_target(pool)};"
    yield "        proxy_next_upstream error timeout http_503;"
    yield "        proxy_connect_timeout 5s;"
    yield "        proxy_send_timeout 120s;"
    yield "        proxy_read_timeout 120s;"
    yield f"        add_header {UPSTREAM_HEADER} $upstream_addr always;"
    yield "    }"
    yield "}"


def _server(pool: Pool, request_id: str) -> Iterator[str]:
    yield "server {"
    yield f"    listen {pool.listen}{' ssl' if pool.cert else ''};"
    if pool.cert:
        yield f"    ssl_certificate {pool.cert};"
        yield f"    ssl_certificate_key {pool.key};"
        yield "    ssl_protocols TLSv1.2 TLSv1.3;"
    yield "    server_tokens off;"
    yield ""
    yield "    # As much as the servers take themselves. A usual request stays in memory."
    yield f"    client_max_body_size {size(pool.body_limit)};"
    yield "    client_body_buffer_size 1m;"
    yield ""
    yield "    proxy_http_version 1.1;"
    yield '    proxy_set_header Connection "";  # or no connection is kept open'
    yield f"    proxy_set_header Host {pool.tls_name or '$host'};"
    yield f"    proxy_set_header X-Request-ID {request_id};"
    yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    yield "    proxy_set_header X-Forwarded-Proto $scheme;"
    yield ""
    yield f"    proxy_connect_timeout {seconds(pool.connect_timeout)};"
    yield f"    proxy_send_timeout {seconds(pool.read_timeout)};"
    yield f"    proxy_read_timeout {seconds(pool.read_timeout)};"
    yield ""
    yield "    # Without non_idempotent nginx gives no POST that was sent to another server, not"
    yield "    # even after a 503, and ejects nobody for it. Ranking changes nothing, so asking"
    yield "    # twice is safe. On overload each try is more load: hence the limit of tries."
    yield "    proxy_next_upstream error timeout http_502 http_503 http_504 non_idempotent;"
    yield f"    proxy_next_upstream_tries {pool.tries};"
    yield "    proxy_next_upstream_timeout 10s;"
    yield ""
    yield "    # The whole request is read first: only then can it be sent to a second server,"
    yield "    # and a slow client holds no place in one."
    yield "    proxy_request_buffering on;"
    if pool.streams:
        yield "    # Answers are passed on as they come, word by word."
        yield "    proxy_buffering off;"
    else:
        yield "    # Answers are taken whole, for the same reason. One that is streamed says"
        yield "    # X-Accel-Buffering: no, or generate with --stream. Nothing goes to disk."
        yield "    proxy_buffering on;"
        yield "    proxy_buffers 16 64k;"
        yield "    proxy_buffer_size 64k;"
        yield "    proxy_busy_buffers_size 128k;"
        yield "    proxy_max_temp_file_size 0;"
    if pool.tls:
        yield ""
        yield "    # Whoever answers must show a certificate of this name, signed by one of these."
        yield "    proxy_ssl_verify on;"
        yield "    proxy_ssl_verify_depth 3;"
        yield f"    proxy_ssl_trusted_certificate {pool.ca};"
        yield f"    proxy_ssl_name {pool.tls_name};"
        yield "    proxy_ssl_server_name on;"
        yield "    proxy_ssl_protocols TLSv1.2 TLSv1.3;"
    yield ""
    yield "    # Which servers were tried, the last one answered. For load tests; leave it out"
    yield "    # where clients must not see addresses."
    yield f"    add_header {UPSTREAM_HEADER} $upstream_addr always;"
    yield ""
    yield "    location / {"
    yield f"        proxy_pass {_target(pool)};"
    yield "    }"
    yield ""
    yield "    # Whether at least one server can work."
    yield f"    location = {pool.health} {{"
    yield "        access_log off;"
    yield f"        proxy_pass {_target(pool, pool.health)};"
    yield "    }"
    yield ""
    yield "    # Whether nginx itself is there."
    yield f"    location = {BALANCER_HEALTH} {{"
    yield "        access_log off;"
    yield "        default_type text/plain;"
    yield '        return 200 "ok\\n";'
    yield "    }"
    yield "}"


def _target(pool: Pool, path: str = "") -> str:
    scheme = "https" if pool.tls else "http"
    if not pool.base:
        return f"{scheme}://{pool.name}"
    return f"{scheme}://{pool.name}{pool.base}{path or '/'}"
