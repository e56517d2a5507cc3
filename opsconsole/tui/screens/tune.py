"""Over the Servers screen: a tuning under way, trial by trial, and what it recommends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from opsconsole import figures
from opsconsole.actions import Action, Scope
from opsconsole.actions.perform import note
from opsconsole.errors import OpsError
from opsconsole.profile import Server
from opsconsole.text import clean, clean_line
from opsconsole.tui.keys import bindings
from opsconsole.tui.load_draft import words_of
from opsconsole.tui.operate import TUNING
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.screens.confirm import ConfirmScreen
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.terminal import write_crash
from opsconsole.tui.widgets.frame import Footer, Rule
from opsconsole.tui.widgets.table import Cell, Column, Row, Table
from opsconsole.tuning import Doing, Event, Report, Request, Trial, Tuning, keep
from opsconsole.tuning.frontier import contenders, frontier
from opsconsole.tuning.report import HEADINGS, cells, plain, recommendation, scatter, text, words

_BEGINS = "tune.start"
"""What is done here already."""
_STOPPING = "stopping, then putting back what was there; X hurries"
_TICK = 0.5
_CHART_ROWS = 11
_PAGE_FRAME = 10
"""Columns of a page that are not its text."""
_WIDTHS = (3, 5, 4, 6, 6, 6, 6, 20)
_PRIORITIES = (0, 3, 2, 0, 1, 0, 2, 0)
COLUMNS = (
    Column("mark", "", 1),
    *(
        Column(title, title, width, right=title != "settings", priority=priority,
               flex=title == "settings")
        for title, width, priority in zip(HEADINGS, _WIDTHS, _PRIORITIES, strict=True)
    ),
)  # fmt: skip


class TuneScreen(ConsoleScreen):
    """Tunes one daemon from the moment it is shown.

    ``X`` stops it and puts back what was there, which a second one makes faster; ``esc`` asks
    first, and closes the screen when it has ended. It goes on while other screens are looked at;
    when the console is left, the daemon is put back first.
    """

    SCOPES: ClassVar = (Scope.TUNE,)
    BINDINGS: ClassVar[list[BindingType]] = [
        each for each in bindings(Scope.TUNE) if isinstance(each, Binding) and each.id != _BEGINS
    ]
    AUTO_FOCUS = "Table"
    DEFAULT_CSS = """
    TuneScreen Static { padding: 0 1; }
    TuneScreen #tune-head { height: auto; max-height: 3; color: $dim; }
    TuneScreen #tune-now { height: auto; max-height: 3; }
    TuneScreen Table { height: 1fr; min-height: 4; }
    TuneScreen #tune-row { height: auto; max-height: 3; color: $dim; display: none; }
    TuneScreen #tune-below { height: auto; max-height: 60%; }
    """

    def __init__(self, server: Server, request: Request | None = None) -> None:
        super().__init__()
        self.server = server
        self.request = request or Request()
        self.trials: list[Trial] = []
        self.report: Report | None = None
        self.failure = ""
        self._doing: Doing | None = None
        self._tuning: Tuning | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def under_way(self) -> bool:
        """Whether the daemon is not yet as it was."""
        return self._task is not None and not self._task.done()

    def body(self) -> Iterable[Widget]:
        symbols = self.console_app.symbols
        # Held, not queried: the last words can come while the screen is being taken down.
        self.head = Static("", id="tune-head", markup=False)
        self.now = Static("", id="tune-now", markup=False)
        self.table = Table(COLUMNS, pointer=">" if symbols.plain else "▌", id="tune-trials")
        self.table.empty = "the first trial is under way"
        self.row = Static("", id="tune-row", markup=False)
        self.below = Static("", id="tune-below", markup=False)
        return (self.head, self.now, Rule(), self.table, self.row, self.below)

    def on_mount(self) -> None:
        self._task = asyncio.create_task(self._drive())
        self.set_interval(_TICK, self._tell)
        self.show_model()

    async def on_unmount(self) -> None:
        if self._tuning is not None and self.under_way:
            self._tuning.stop("the console was left")
            self._tuning.stop("the console was left")
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _drive(self) -> None:
        app, server = self.console_app, self.server
        profile, begin = app.profile, time.monotonic()
        model = app.model
        model.set_busy(server.name, TUNING)
        outcome, detail = "failed", ""
        try:
            self._tuning = tuning = Tuning(profile, server, self.request)
            self.report = report = await tuning.run(self._take)
            outcome = "stopped" if report.stopped else "done"
            found = report.stopped or report.lines or "keep what is there"
            detail = f"{found}; {report.restored}"
            try:
                await asyncio.to_thread(keep, report)
            except OpsError as error:
                app.say(str(error), "error")
        except OpsError as error:
            detail, self.failure = str(error), failure_words(error)
        except asyncio.CancelledError:
            detail = "cut off; what was there was put back"
            raise
        except Exception as error:
            detail = f"internal error: {type(error).__name__}"
            self.failure = f"{detail}, trace in {write_crash(error)}"
        finally:
            note("server.tune", profile, server.name, "tui", begin, outcome, detail)
            model.set_busy(server.name, None)
            self._doing = None
        if self.is_mounted and not self._stopping:
            words_ = self.failure or detail
            app.say(f"tune {server.name}: {words_}", "error" if self.failure else "information")
        self.call_later(self.show_model)

    def _take(self, event: Event) -> None:
        if isinstance(event, Trial):
            self.trials.append(event)
        else:
            self._doing = event
        if self.is_mounted:
            self.call_later(self.show_model)

    # Drawing

    def on_resize(self) -> None:
        self.show_model()

    def show_model(self) -> None:
        if not self.is_mounted:
            return
        app = self.console_app
        best = {trial.number for trial in frontier(contenders(self.trials))}
        mark = "*" if app.symbols.plain else "◆"
        self.table.show([_row(trial, trial.number in best, mark) for trial in self.trials])
        limit = self._tuning.limit if self._tuning is not None else None
        goal = "highest throughput" if self.request.goal == "throughput" else "lowest p95"
        if limit is not None and self.request.goal == "throughput":
            goal += f" with p95 at most {figures.with_unit(limit)}"
        head = [f"tune {self.server.name}: {goal}; load: {self.request.load_words}"]
        self.head.update(Content(self._fit("\n".join(clean_line(line) for line in head))))
        self._tell()
        self._show_row()
        self.below.update(Content(self._fit("\n".join(self._below(sorted(best))))))
        self.query_one(Footer).refresh()

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._show_row()

    def _show_row(self) -> None:
        """Under the table all that its row says, where its last column had to cut it."""
        trial = next((t for t in self.trials if str(t.number) == self.table.cursor), None)
        said = clean_line(cells(trial)[-1], 300) if trial is not None else ""
        self.row.display = cell_len(said) > self.table.width_of("settings")
        if trial is not None and self.row.display:
            self.row.update(Content(self._fit(f"{trial.number}: {said}")))

    def _tell(self) -> None:
        """One line: what is done now, and which keys there are."""
        if not self.is_mounted:
            return
        doing, symbols = self._doing, self.console_app.symbols
        if self.failure:
            shown = f"{symbols.down} failed: {self.failure}; esc closes"
        elif self.report is not None:
            ended = "stopped" if self.report.stopped else "ended"
            shown = (
                f"{symbols.up} {ended}: {self.server.name} is {self.report.restored}; esc closes"
            )
        elif doing is None or doing.settings is None:
            shown = f"{symbols.half} {doing.what if doing else 'starting'}"
        elif self._stopping:
            shown = f"{symbols.half} {_STOPPING}"
        else:
            left = figures.ago(doing.until - time.monotonic())
            shown = f"{symbols.half} {doing.what}: {words(doing.settings)}, {left} left"
        self.now.update(Content(self._fit(clean_line(shown, 400))))

    def _below(self, best: Sequence[int]) -> list[str]:
        """The frontier as a chart, where there is room; the recommendation when it has ended."""
        width = max(40, self.size.width - 3)
        lines: list[str] = []
        found = self.report.recommendation if self.report is not None else None
        if self.report is not None and found is not None:
            lines += ["", *recommendation(self.report, width).splitlines()]
        free = self.size.height - 8 - len(lines) - min(8, len(self.trials))
        if free >= _CHART_ROWS:
            chart = scatter([t for t in self.trials if t.round], best, min(width, 100))
            lines = ["", *chart, *lines] if chart else lines
        return [clean(line) for line in lines]

    def _fit(self, shown: str) -> str:
        return plain(shown) if self.console_app.symbols.plain else shown

    # Keys

    def do_console_back(self) -> None:
        """Close when nothing is under way any more; else ask whether that is to end: minutes of
        measuring are not lost by a key that only goes back elsewhere."""
        if not self.under_way:
            self.dismiss()
        elif self._stopping:
            self.console_app.say(_STOPPING)
        else:
            question = f"Stop tuning {self.server.name}, and put back what was there?"
            explain = "No goes on. X stops without a question."
            self.console_app.push_screen(ConfirmScreen(question, explain), self._answered)

    def _answered(self, yes: bool | None) -> None:
        if yes and self.under_way:  # it may have ended meanwhile
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        if self._tuning is not None:
            self._tuning.stop("by the operator")
        self._tell()

    def offers(self, action: Action) -> bool:
        if action.scope is not Scope.TUNE:
            return True
        if action.id == "tune.stop":
            return self.under_way
        found = self.report if action.id in ("tune.report", "tune.copy") else None
        return found is not None and (action.id == "tune.report" or bool(found.lines))

    def do_tune_stop(self) -> None:
        if self.under_way:
            self._stop()
        else:  # whoever hurried it a moment too late wants to read what it found
            self.console_app.say("it has ended: esc closes")

    def do_tune_report(self) -> None:
        if self.report is None:
            self.console_app.say("there is no report before the end", "warning")
            return
        shown = self._fit(text(self.report, width=self._page_width()))
        self.console_app.push_screen(PageScreen(f"Tuning of {self.server.name}", shown))

    def do_tune_copy(self) -> None:
        if self.report is not None and self.report.lines:
            self.console_app.copy(self.report.lines, "the recommended lines")
        else:
            self.console_app.say("nothing is recommended (yet)", "warning")

    def _page_width(self) -> int:
        return max(40, min(88, self.size.width - _PAGE_FRAME))


def failure_words(error: OpsError) -> str:
    """Why it failed; an option of the command line is a field here, which the words name."""
    return words_of(error) if error.where.startswith("--") else str(error)


def _row(trial: Trial, best: bool, mark: str) -> Row:
    style = "" if trial.figures is not None else "dim"
    if best:
        style = "good"
    told = dict(zip(HEADINGS, cells(trial), strict=True))
    shown = {key: Cell(clean_line(value, 300), style) for key, value in told.items()}
    return Row(str(trial.number), {"mark": Cell(mark if best else "", style), **shown})
