"""A load test on the screen: under way, ended, or opened from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from opsconsole.tui.running import console_of
from opsconsole.tui.widgets import load_figures
from opsconsole.tui.widgets.load_charts import LEAST, LoadCharts
from opsconsole.tui.widgets.load_head import head, notices, progress
from opsconsole.tui.widgets.load_ink import Ink, stacked
from opsconsole.tui.widgets.load_lists import error_lines, probe_lines
from opsconsole.tui.widgets.load_servers import server_lines, upstream_lines
from opsconsole.tui.widgets.load_spread import NAME, rate_line, spread_lines

if TYPE_CHECKING:
    from opsconsole.tui.load_desk import Session

WIDE = 110
"""Columns from which everything but the charts stands beside them."""
_NARROW = 72
_APART = 2
"""Columns between charts and figures."""


class RunView(Vertical):
    """Shows what :meth:`show` is given."""

    DEFAULT_CSS = """
    RunView { background: $background; color: $foreground; padding: 0 1; }
    RunView > Static { height: 1; text-wrap: nowrap; }
    RunView > #load-main { height: 1fr; }
    RunView.-stacked > #load-main { layout: vertical; }
    RunView.-stacked LoadCharts { width: 100%; }
    RunView.-stacked #load-side { height: 1fr; }
    RunView #load-side { height: 100%; text-wrap: nowrap; }
    RunView LoadCharts { width: 1fr; height: 100%; padding-right: 2; /* _APART */ }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._session: Session | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="load-head")
        yield Static(id="load-progress")
        yield Static(id="load-notices")
        with Horizontal(id="load-main"):
            yield LoadCharts()
            yield Static(id="load-side")
        yield Static(id="load-foot")

    def on_mount(self) -> None:
        self.watch(self.app, "theme", self._again, init=False)

    def on_resize(self) -> None:
        self._again()

    def _again(self) -> None:
        if self._session is not None:
            self.show(self._session)

    def show(self, session: Session) -> None:
        """Draw ``session`` as it is now."""
        self._session = session
        width, height = self.content_size
        if not self.children or width < 1 or height < 1:
            return  # a resize draws it
        app = console_of(self)
        ink = Ink(app.theme_variables, app.symbols)
        self._write("load-head", [head(ink, session, width)])
        self._write("load-progress", [progress(ink, session, width)])
        # A line of air sets what is measured apart from what is run.
        most = max(1, min(6, height // 5))
        said = notices(ink, session, width, most)
        left = height - 2 - len(said)
        if left >= 16:
            said = [*said, Text("")]
            left -= 1
        self._write("load-notices", said)
        self.set_class(width < _NARROW, "-stacked")
        if width >= WIDE:
            self._wide(ink, session, width, left)
        elif width >= _NARROW and left >= LEAST + 2:
            self._beside(ink, session, width, left)
        else:
            self._narrow(ink, session, width, left)

    def _wide(self, ink: Ink, session: Session, width: int, height: int) -> None:
        """Charts stacked at the left, all the figures at the right."""
        most, share = (84, 0.5) if session.live.climbs else (72, 0.42)
        side = max(load_figures.WIDTH, min(most, round(width * share)))
        self._write("load-foot", [])
        self._main(session, height, side)
        self._write("load-side", self._all(ink, session, side, height))

    def _beside(self, ink: Ink, session: Session, width: int, height: int) -> None:
        """The chart of latencies beside the table, the rest below in a line each."""
        live = session.live
        side = load_figures.WIDTH
        room = max(0, min(9, height - 10))
        below = probe_lines(ink, live, width, min(room, len(live.probes) + 1))
        room -= len(below)
        errors = error_lines(ink, live, session.run.examples, width, max(1, min(room - 3, 6)))
        room -= len(errors)
        servers = server_lines(ink, live, width, min(1 + len(live.servers), room))
        servers += upstream_lines(ink, live, width, room - len(servers))
        room -= len(servers)
        plot = width - side - _APART - NAME
        if room >= 2:
            below += rate_line(ink, live, width, plot)
        if room >= 1:
            below += spread_lines(ink, live, width, 1, plot)
        below += servers + errors
        rows = height - len(below)
        self._main(session, rows, side)
        invalid = bool(session.run.invalid)
        lines = load_figures.table(ink, live, side, rows - 1, invalid=invalid)
        if len(lines) < rows - 2:
            lines.append(Text(""))
        lines.append(load_figures.client_line(ink, live, side))
        self._write("load-side", lines[:rows])
        self._write("load-foot", below)

    def _narrow(self, ink: Ink, session: Session, width: int, height: int) -> None:
        """The figures, one list; over them the chart of latencies where it is high enough."""
        chart = height // 3 if height >= 3 * LEAST and width >= 40 else 0
        self._write("load-foot", [])
        self._main(session, chart, width)
        self._write("load-side", self._all(ink, session, width, height - chart))

    def _all(self, ink: Ink, session: Session, width: int, height: int) -> list[Text]:
        """Every section in the rows there are, the more important ones first."""
        live = session.live
        roomy = height >= 24
        rows = (
            max(4, min(13, height - (7 if height >= 14 else 5)))
            if height >= 9
            else max(1, height - 2)
        )
        invalid = bool(session.run.invalid)
        lines = load_figures.table(ink, live, width, rows, invalid=invalid)
        lines.append(load_figures.client_line(ink, live, width))

        def add(found: list[Text]) -> None:
            if found:
                if roomy:
                    lines.append(Text(""))
                lines.extend(found)

        def left() -> int:
            return height - len(lines) - roomy

        add(probe_lines(ink, live, width, min(left(), 2 + height // 3)))
        # In a small terminal what the servers say is worth more than examples.
        kinds = min(left(), 9) if roomy else min(max(1, left() - len(live.servers) - 1), 3)
        add(error_lines(ink, live, session.run.examples, width, min(left(), kinds)))
        add(server_lines(ink, live, width, min(left(), 9)))
        add(upstream_lines(ink, live, width, min(left(), 9)))
        room = left()
        add(spread_lines(ink, live, width, min(room, 8) if room >= 3 else min(room, 1)))
        return lines[:height]

    def _main(self, session: Session, height: int, side: int) -> None:
        charts = self.query_one(LoadCharts)
        charts.display = height >= LEAST
        charts.styles.height = height if self.has_class("-stacked") else "100%"
        self.query_one("#load-side", Static).styles.width = side
        if charts.display:
            charts.show(session.live, height, console_of(self).symbols.chart)

    def _write(self, name: str, lines: list[Text]) -> None:
        static = self.query_one(f"#{name}", Static)
        static.display = bool(lines)
        if name != "load-side":
            static.styles.height = max(1, len(lines))
        static.update(stacked(lines), layout=False)
