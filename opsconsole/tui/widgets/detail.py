"""The pane under the fleet table: one server's chart, and why it is not well."""

from __future__ import annotations

import time

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from opsconsole.actions import get
from opsconsole.figures import ago, percent, rate, size, with_unit
from opsconsole.profile import Server
from opsconsole.text import clean_line
from opsconsole.tui.running import console_of
from opsconsole.tui.widgets.chart import Chart, Series, Threshold

WINDOW = 60.0


class Detail(Vertical):
    """Shows what :meth:`show` is given from the model."""

    DEFAULT_CSS = """
    Detail { background: $background; padding: 0 1; }
    Detail > #detail-head { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    Detail > Horizontal { height: 1fr; }
    Detail #detail-chart { width: 1fr; height: 100%; }
    Detail #detail-notes { width: 34; height: 100%; padding-left: 2; }
    Detail.-narrow #detail-notes { width: 100%; padding-left: 0; }
    Detail.-narrow #detail-chart { display: none; }
    Detail.-wide #detail-notes { width: 46; }
    """

    def compose(self) -> ComposeResult:
        yield Static(id="detail-head")
        with Horizontal():
            yield Chart(
                id="detail-chart", format_value=with_unit, empty="no good requests in the last 60 s"
            )
            yield Static(id="detail-notes")

    def on_resize(self) -> None:
        self.set_class(self.size.width < 66, "-narrow")
        self.set_class(self.size.width >= 110, "-wide")

    def show(self, server: Server | None) -> None:
        """Show ``server``, or nothing."""
        if not self.query("#detail-notes"):
            return  # a resize can come before the pane is composed, or when it is taken down
        head = self.query_one("#detail-head", Static)
        notes = self.query_one("#detail-notes", Static)
        chart = self.query_one(Chart)
        if server is None:
            head.update("", layout=False)
            notes.update("", layout=False)
            chart.show([])
            return
        head.update(self._head(server), layout=False)
        notes.update(self._notes(server), layout=False)
        self._draw(chart, server)

    def _draw(self, chart: Chart, server: Server) -> None:
        app = console_of(self)
        points = app.model.histories[server.name].points
        now = time.time()
        # Points carry the monotonic clock; the axis shows the wall's.
        times = [point.clock + now - time.monotonic() for point in points]
        limit = server.service_level.p95
        chart.symbols = app.symbols.chart
        chart.show(
            [
                Series("p50", times, [point.p50 for point in points], "good"),
                Series("p95", times, [point.p95 for point in points], "warn"),
            ],
            span=(now - WINDOW, now),
            thresholds=[Threshold(limit, "p95 limit")] if limit is not None else [],
        )

    def _head(self, server: Server) -> Text:
        app = console_of(self)
        colors, model = app.theme_variables, app.model
        snapshot, daemon = model.snapshot(server.name), model.daemons.get(server.name)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(clean_line(server.name, 40), f"bold {colors['bright']}")
        parts: list[str] = []
        if daemon and daemon.pid:
            parts.append(f"pid {daemon.pid}")
            if daemon.started_at:
                parts.append(f"up {ago(time.time() - daemon.started_at)}")
        identity = snapshot.identity if snapshot else None
        if identity and identity.model:
            parts.append(clean_line(identity.model, 40))
        if identity and identity.backend:
            parts.append(
                f"{clean_line(identity.backend, 12)} {clean_line(identity.dtype or '', 12)}"
            )
        if not parts:
            parts.append(clean_line(server.url, 60))
        separator = " - " if app.symbols.plain else " · "
        text.append("  " + separator.join(parts), colors["dim"])
        return text

    def _notes(self, server: Server) -> Text:
        app = console_of(self)
        colors, model = app.theme_variables, app.model
        bright, dim = f"bold {colors['bright']}", colors["dim"]
        text = Text()
        for finding in model.findings(server)[:2]:
            text.append("why  ", bright)
            text.append(f"{clean_line(finding.why, 160)}\n", colors["warning"])
            if finding.suggestion:
                text.append("try  ", bright)
                text.append(clean_line(finding.suggestion, 120))
                if finding.action:
                    text.append(f"  {get(finding.action).key_label}", f"bold {colors['accent']}")
                text.append("\n")
        figures = model.figures(server.name)
        snapshot = model.snapshot(server.name)
        counters = snapshot.counters if snapshot else None
        lines: list[tuple[str, str]] = []
        if figures.pair_rate is not None:
            lines.append(("pairs/s", rate(figures.pair_rate)))
        if counters and counters.active is not None and counters.max_parallel is not None:
            lines.append(("running", f"{counters.active:.0f} of {counters.max_parallel:.0f}"))
        if figures.cache_share is not None:
            lines.append(("cache hits", f"{percent(figures.cache_share)} %"))
        if counters and counters.resident_bytes is not None:
            lines.append(("memory", size(counters.resident_bytes)))
        if figures.cpu_cores is not None:
            lines.append(("cores used", f"{figures.cpu_cores:.2f}"))
        if counters and counters.requests is not None:
            lines.append(("requests", f"{counters.requests:,.0f}"))
        for name, value in lines:
            text.append(f"{name:<11}", dim)
            text.append(f"{value}\n")
        return text
