"""Everything that is known of one server, as text."""

from __future__ import annotations

import time

from opsconsole.figures import ago, latency, percent, rate, size
from opsconsole.profile import Server
from opsconsole.profile.show import as_data
from opsconsole.text import clean_line
from opsconsole.tui.model import FleetModel


def describe(model: FleetModel, server: Server) -> str:
    """Sections of aligned lines; foreign text in them is cleaned by whoever shows it."""
    out: list[str] = []
    now = time.time()

    def section(title: str, pairs: list[tuple[str, object]]) -> None:
        known = [(key, value) for key, value in pairs if value not in (None, "")]
        if known:
            out.append(f"{title}")
            out.extend(f"  {key:<18} {clean_line(str(value), 400)}" for key, value in known)
            out.append("")

    for finding in model.findings(server):
        out.append(f"why  {finding.why}")
        if finding.suggestion:
            out.append(f"try  {finding.suggestion}")
    if out:
        out.append("")
    daemon = model.daemons.get(server.name)
    if daemon is not None:
        section("Daemon", [
            ("state", daemon.state), ("pid", daemon.pid), ("keeper pid", daemon.keeper_pid),
            ("running for", ago(now - daemon.started_at) if daemon.started_at and daemon.pid
             else None),
            ("in this state for", ago(now - daemon.since) if daemon.since else None),
            ("restarts", daemon.restarts), ("last exit", daemon.last_exit),
            ("detail", daemon.detail), ("left behind", daemon.left_behind),
            ("log", daemon.log),
        ])  # fmt: skip
    snapshot = model.snapshot(server.name)
    if snapshot is not None:
        section("Last poll", [
            ("state", snapshot.state), ("age", ago(now - snapshot.at)),
            ("took", f"{snapshot.poll_seconds * 1000:.1f} ms"),
            ("failure", snapshot.failure), ("metrics failure", snapshot.metrics_failure),
            ("detail", snapshot.detail),
        ])  # fmt: skip
        if identity := snapshot.identity:
            section("Answers there", [
                ("version", identity.version), ("pid", identity.pid), ("model", identity.model),
                ("family", identity.family), ("backend", identity.backend),
                ("device", identity.device), ("dtype", identity.dtype),
                ("revision", identity.revision),
            ])  # fmt: skip
    figures = model.figures(server.name)
    section("Last 60 s", [
        ("requests/s (10 s)", rate(figures.request_rate)),
        ("pairs/s (10 s)", rate(figures.pair_rate)),
        ("p50 / p95 / p99 ms", " / ".join(map(latency, (figures.p50, figures.p95, figures.p99)))),
        ("failed %", percent(figures.error_share)),
        ("cache hits %", percent(figures.cache_share)),
        ("padding %", percent(figures.padding_share)),
        ("cores used (10 s)", None if figures.cpu_cores is None else f"{figures.cpu_cores:.2f}"),
        ("resident memory", size(snapshot.counters.resident_bytes)
         if snapshot and snapshot.counters else None),
    ])  # fmt: skip
    entry = next(s for s in as_data(model.profile)["servers"] if s["name"] == server.name)
    section("Profile", [(key, value) for key, value in entry.items() if key != "name"])
    return "\n".join(out).rstrip()
