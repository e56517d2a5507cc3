"""Screen 3: choose a load test and its numbers, watch it run, keep and compare what it measured."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from opsconsole.actions import Action, Scope, get
from opsconsole.errors import OpsError
from opsconsole.load import Run, store
from opsconsole.tui.keys import bindings
from opsconsole.tui.load_desk import Session
from opsconsole.tui.run_actions import RunActions
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.widgets.frame import Footer
from opsconsole.tui.widgets.load_view import RunView
from opsconsole.tui.widgets.setup_view import SetupView

FRAMES = 10
"""A second, at most, in which a run is drawn."""
_RUNS = frozenset(("load.report", "load.baseline", "load.compare", "load.export", "load.delete"))
_UNDER_WAY = frozenset(
    ("load.pause", "load.stop", "load.faster", "load.slower", "load.choose", "load.report")
)  # fmt: skip


class LoadScreen(ConsoleScreen):
    """Load tests."""

    SCOPES: ClassVar = (Scope.LOAD,)
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.LOAD),
        # From within a field, where S is a letter; the key that ranks on the screen Rerank.
        Binding("ctrl+r", "app.act('load.start')", show=False, priority=True),
    ]
    AUTO_FOCUS = None
    DEFAULT_CSS = """
    LoadScreen ContentSwitcher { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.actions = RunActions(self, self._runs_changed)
        self._session: Session | None = None
        self._drawn = -1
        self._opened = ""
        """The id of the stored run that was opened from the list, to which ``esc`` goes back."""

    def body(self) -> Iterable[Widget]:
        self.setup, self.run_view = SetupView(), RunView(id="run")
        with ContentSwitcher(initial="setup") as self.switcher:
            yield self.setup
            yield self.run_view

    def on_mount(self) -> None:
        self.setup.focus_pane("tests")
        self.set_interval(1 / FRAMES, self._follow)
        self._follow()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.is_mounted:
            self.setup.show_profile()
            self.setup.load_runs()
            self._drawn = -1
            self._follow()

    def show_model(self) -> None:
        self.setup.show_profile()

    @property
    def shows_run(self) -> bool:
        """Whether a run is shown, not the set-up."""
        return self.switcher.current == "run"

    def _follow(self) -> None:
        """Draw what has happened to the run; a new one comes up by itself."""
        desk = self.console_app.load_desk
        if not self.is_current or desk.version == self._drawn:
            return
        self._drawn = desk.version
        session = desk.session
        if session is not self._session:
            self._session = session
            self._show(run=session is not None)
        if session is not None and self.shows_run:
            self.run_view.show(session)
        if session is None or not session.under_way:
            self.setup.load_runs()
        self.query_one(Footer).refresh()

    def _show(self, *, run: bool) -> None:
        self.switcher.current = "run" if run else "setup"
        if run:
            self.set_focus(None)
            if self._session is not None:
                self.run_view.show(self._session)
        else:
            self.setup.focus_pane("tests")
        self.query_one(Footer).refresh()

    def _runs_changed(self) -> None:
        self.setup.load_runs()

    def on_setup_view_focus_moved(self, event: SetupView.FocusMoved) -> None:
        self.query_one(Footer).refresh()

    def on_setup_view_opened(self, event: SetupView.Opened) -> None:
        self._open(event.run_id)

    @work(group="open", exclusive=True)
    async def _open(self, run_id: str) -> None:
        app = self.console_app
        try:
            if app.load_desk.busy:
                raise OpsError("a load test is under way", hint="X stops it, o reports this one")
            run = await asyncio.to_thread(store.read, run_id)
            app.load_desk.open(run)
            self._opened = run.id
        except OpsError as error:
            app.say(str(error), "warning")
            return
        self._follow()

    def offers(self, action: Action) -> bool:
        if action.scope is not Scope.LOAD:
            return True
        if action.id == "load.baseline" and self.console_app.forced_read_only:
            return False
        session = self._session
        if self.shows_run and session is not None:
            if session.under_way:
                by_itself = session.live.climbs and action.id in ("load.faster", "load.slower")
                return action.id in _UNDER_WAY and not by_itself
            kept = session.state == "ended" and action.id in _RUNS
            return kept or action.id in ("load.repeat", "load.choose")
        if self.setup.typing:
            return False
        if action.id in _RUNS or action.id == "load.repeat":
            return self.setup.run_at_hand is not None
        is_busy = session is not None and session.under_way
        if is_busy:
            return action.id == "load.stop"
        # Beside a stored run, `start` would read as if that one were meant.
        return action.id == "load.start" and self.setup.pane != "runs"

    # The run

    def do_load_start(self, name: str = "", *_: str) -> None:
        if name:
            keys = [key for key in self.setup.drafts if key.split(maxsplit=1)[1] == name]
            if not keys:
                self.console_app.say(f"there is no load test {name}", "warning")
                return
            self._show(run=False)
            self.setup.tests.cursor = keys[0]
        elif self.shows_run:
            self.console_app.say("n chooses a load test, R repeats this one", "warning")
            return
        elif self.setup.pane == "runs":
            self.console_app.say("R repeats this run; esc goes to the load tests", "warning")
            return
        self._start()

    @work(group="start", exclusive=True)
    async def _start(self) -> None:
        plan = await self.setup.checked_draft()
        if plan is None:
            self.console_app.say("there are mistakes in it: nothing was started", "warning")
            self.setup.focus_pane("form")
            return
        self.console_app.load_start(plan)

    def do_load_pause(self, *_: str) -> None:
        self.console_app.load_desk.pause()

    def do_load_stop(self, *_: str) -> None:
        self.console_app.load_desk.stop()

    def do_load_faster(self, *_: str) -> None:
        self.console_app.load_desk.faster()

    def do_load_slower(self, *_: str) -> None:
        self.console_app.load_desk.slower()

    def do_load_repeat(self, run: str = "", *_: str) -> None:
        if run or not self.shows_run:
            if isinstance(found := self._at_hand(run), str):
                self._repeat(found)
            return
        session = self.console_app.load_desk.session
        if session is None:
            self.console_app.say("no load test has run yet", "warning")
        elif session.under_way:
            self.console_app.say("it is still under way", "warning")
        else:
            self.console_app.load_start(session.plan, get("load.repeat"))

    @work(group="start", exclusive=True)
    async def _repeat(self, run_id: str) -> None:
        try:
            run = await asyncio.to_thread(store.read, run_id)
        except OpsError as error:
            self.console_app.say(str(error), "error")
            return
        self.console_app.load_start(run.plan, get("load.repeat"))

    def do_load_choose(self, *_: str) -> None:
        self._show(run=False)

    # What was measured

    def _at_hand(self, word: str = "") -> Run | str | None:
        """The run that a key works on: the one that is shown, or the stored one at the cursor.

        Args:
            word: What is typed after a command: an id, the beginning of one, or a test's name.
        """
        if word:
            known = self.setup.summaries.values()
            found = (s.id for s in known if s.id.startswith(word) or word in (s.plan, "latest"))
            if (named := next(found, None)) is None:
                self.console_app.say(f"there is no stored run {word}", "warning")
            return named
        session = self._session
        if self.shows_run and session is not None:
            if session.state == "ended":
                return session.run
            self.console_app.say(f"the run is {session.state}: nothing to keep yet", "warning")
            return None
        if (run_id := self.setup.run_at_hand) is None:
            self.console_app.say("choose a stored run first: tab goes to them", "warning")
        return run_id

    def do_load_report(self, run: str = "", *_: str) -> None:
        session = self._session
        if not run and self.shows_run and session is not None and session.under_way:
            self.actions.so_far(session)
            return
        if (found := self._at_hand(run)) is not None:
            self.actions.report(found)

    def do_load_baseline(self, run: str = "", *_: str) -> None:
        if self.console_app.forced_read_only:
            self.console_app.say("read-only: baseline is refused (opened with --read-only)",
                                 "warning")  # fmt: skip
            return
        if (found := self._at_hand(run)) is not None:
            self.actions.baseline(found.id if isinstance(found, Run) else found)

    def do_load_compare(self, run: str = "", *_: str) -> None:
        found = self._at_hand(run)
        if found is None:
            return
        marked = () if run or isinstance(found, Run) else self._marked(found)
        if not marked:
            self.actions.compare_with(found)
        elif len(marked) == 2:
            self.actions.compare(*marked)
        else:
            self.console_app.say("two runs are compared: mark one or two", "warning")

    def _marked(self, run_id: str) -> Sequence[str]:
        """The marked runs, the older first; with a single one, that and the one at the cursor."""
        table = self.setup.runs
        marked = set(table.marked)
        if len(marked) == 1:
            marked.add(run_id)
        if len(marked) == 1:
            return ()
        return [row.key for row in reversed(table.rows) if row.key in marked]

    def do_load_export(self, run: str = "", *_: str) -> None:
        if (found := self._at_hand(run)) is not None:
            self.actions.export(found)

    def do_load_delete(self, run: str = "", *_: str) -> None:
        found = self._at_hand(run)
        if found is None:
            return
        run_id = found.id if isinstance(found, Run) else found
        summary = self.setup.summaries.get(run_id)
        if summary is None:
            self.console_app.say(f"{run_id} is not stored", "warning")
            return
        self.actions.delete(summary, run_id in self.setup.baselines)

    def do_console_back(self) -> None:
        session = self._session
        from_list = session is not None and session.run.id == self._opened
        if self.shows_run and from_list:
            self._show(run=False)
            self.setup.runs.cursor = self._opened
            self.setup.focus_pane("runs")
        elif self.shows_run:
            self.console_app.everywhere.do_console_back()
        elif self.setup.pane == "runs" and self.setup.runs.marked:
            self.setup.runs.unmark()
        elif self.setup.pane != "tests":
            self.setup.focus_pane("tests")
        elif session is not None and not from_list:
            self._show(run=True)
        else:
            self.console_app.everywhere.do_console_back()
