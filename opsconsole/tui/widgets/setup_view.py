"""The set-up of a load test: which one, with which numbers; below it, the runs that were stored."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets.selection_list import Selection

from opsconsole.errors import OpsError
from opsconsole.load import store
from opsconsole.load.judge import default_thresholds
from opsconsole.load.plan import Plan
from opsconsole.load.summary import Summary
from opsconsole.profile import Profile
from opsconsole.text import clean_line
from opsconsole.tui import run_rows
from opsconsole.tui.load_draft import Checked, Draft, drafts, names_of, stages_of
from opsconsole.tui.plan_words import KINDS
from opsconsole.tui.running import console_of
from opsconsole.tui.screens.choose import ChooseScreen
from opsconsole.tui.widgets.frame import Rule
from opsconsole.tui.widgets.setup_controls import Edited, control_of, key_words
from opsconsole.tui.widgets.setup_form import SetupForm
from opsconsole.tui.widgets.setup_words import Words
from opsconsole.tui.widgets.table import Cell, Column, Row, Table

Pane = Literal["tests", "form", "runs"]
_TEST_COLUMNS = (
    Column("name", "load test", 10, flex=True),
    Column("changed", "", 1),
    Column("does", "what it does", 17),
)


class SetupView(Vertical):
    """Three panes: the tests, the form of the one at hand, the stored runs; tab goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", show=False),
        Binding("shift+tab", "pane(-1)", show=False),
        Binding("enter", "enter", show=False),
        Binding("space", "mark", show=False),
    ]
    DEFAULT_CSS = """
    SetupView #upper { height: 1fr; }
    SetupView #tests { width: 35; height: 100%; }
    SetupView #form { width: 1fr; height: 100%; }
    SetupView #words { height: 4; padding: 0 1; }
    SetupView #runs { height: 4; }
    SetupView.-runs #runs { height: 9; }
    SetupView.-tall #runs { height: 12; }
    SetupView.-wide #tests { width: 40; }
    SetupView.-low #words { height: 2; }
    SetupView.-low #runs { height: 3; }
    SetupView.-narrow #tests { width: 1fr; }
    SetupView.-narrow #form { border-left: none; }
    SetupView #tests > .table--cursor, SetupView #runs > .table--cursor {
        background: $background; }
    SetupView #tests:focus > .table--cursor, SetupView #runs:focus > .table--cursor {
        background: $cursor; }
    """

    class Opened(Message):
        """A stored run is to be shown."""

        def __init__(self, run_id: str) -> None:
            super().__init__()
            self.run_id = run_id

    class FocusMoved(Message):
        """Another pane, or a text field, has the focus: other keys work."""

    def __init__(self) -> None:
        super().__init__(id="setup")
        self.tests = Table(_TEST_COLUMNS, id="tests")
        self.form = SetupForm()
        self.upper, self.rule = Horizontal(id="upper"), Rule()
        self.words = Words(id="words")
        self.runs = Table(run_rows.COLUMNS, id="runs")
        self.summaries: dict[str, Summary] = {}
        self.baselines: frozenset[str] = frozenset()
        self.drafts: dict[str, Draft] = {}
        self.checked: Checked | None = None
        self._stages: dict[str, str] = {}
        self._profile: Profile | None = None
        self._wanted: tuple[str, ...] = ()
        self._pane: Pane = "tests"

    def compose(self) -> ComposeResult:
        with self.upper:
            yield self.tests
            yield self.form
        yield self.rule
        yield self.words
        yield self.runs

    # What is shown

    def on_mount(self) -> None:
        symbols = console_of(self).symbols
        self.runs.mark_glyph = symbols.mark
        self.runs.empty = "no run of this profile is stored yet: S starts the load test above"
        self.show_profile()

    def on_resize(self) -> None:
        height, width = self.size.height, self.size.width
        self.set_class(height >= 28, "-tall")
        self.set_class(height < 16, "-low")
        self.set_class(width >= 110, "-wide")
        self.set_class(width < 64, "-narrow")
        self._arrange()

    def _arrange(self) -> None:
        """Where there is no room for all panes, show the one that has the focus."""
        is_low, is_narrow = self.size.height < 10, self.size.width < 64
        self.upper.display = self._pane != "runs" or not is_low
        self.runs.display = self._pane == "runs" or not is_low
        self.rule.display = self.words.display = not is_low
        self.tests.display = self._pane != "form" or not is_narrow
        self.form.display = self._pane == "form" or not is_narrow
        self.runs.styles.height = "1fr" if is_low else None

    def show_profile(self) -> None:
        """Offer the load tests of the profile that is open now, and servers that were chosen."""
        app = console_of(self)
        if app.profile is self._profile and app.load_desk.wanted == self._wanted:
            return
        if app.profile is not self._profile:
            self._profile = app.profile
            self.drafts = drafts(app.profile)
            self.summaries = {}
            self.runs.unmark()
            self.load_runs()
        if app.load_desk.wanted != self._wanted:
            self._wanted = app.load_desk.wanted
            for draft in self.drafts.values():
                draft.aim(self._wanted)
        self._show_tests()

    def _show_tests(self) -> None:
        rows = []
        for key, draft in self.drafts.items():
            own = key.startswith("profile ")
            name = Cell(clean_line(draft.name, 60), "bright" if own else "")
            changed = Cell("*" if own and draft.changed else "", "accent")
            does = Cell(KINDS[draft.mode], "" if own else "dim")
            rows.append(Row(key, {"name": name, "changed": changed, "does": does}))
            if own and len(rows) == len(self._own()):
                rows.append(Row("modes", {"name": Cell("or a mode", "dim")}, selectable=False))
        self.tests.show(rows)
        self._show_draft()

    def _own(self) -> list[str]:
        return [key for key in self.drafts if key.startswith("profile ")]

    @property
    def draft(self) -> Draft | None:
        """The load test at hand."""
        return self.drafts.get(self.tests.cursor or "")

    def _show_draft(self) -> None:
        draft, profile = self.draft, self._profile
        if draft is None or profile is None:
            return
        names = tuple(server.name for server in profile.servers)
        said = names_of(draft.texts.get("servers", ""))
        servers = [s for s in profile.servers if s.name in said] or profile.servers[:1]
        promised = ", ".join(threshold.text for threshold in default_thresholds(servers))
        defaults = {
            "servers": names[0] if names else "none",
            "thresholds": promised or "none",
            "stages": self._stages.get(self.tests.cursor or "", ""),
        }
        self.form.show(
            draft,
            defaults,
            names,
            self._idle_note(draft),
        )
        self.check()

    def _idle_note(self, draft: Draft) -> Content:
        if self.pane == "runs":
            if not self.summaries:
                return Content("")
            return key_words(("enter", "opens"), ("space", "marks"), ("esc", "load tests"))
        keys = key_words(("enter", "edits"), ("S", "starts"), ("tab", "stored runs"))
        if draft.name != draft.mode and draft.changed:
            return keys + Content("\n* changed here; the profile's file is not")
        return keys

    def check(self) -> None:
        """Find what is wrong with the draft at hand; a replay's file is read in a thread."""
        if self.draft is not None:
            self._check_soon(self.draft)

    @work(group="check", exclusive=True)
    async def _check_soon(self, draft: Draft) -> None:
        await self._check(draft)

    async def checked_draft(self) -> Plan | None:
        """The plan of the draft at hand; None while it has mistakes, which are then shown."""
        draft = self.draft
        if draft is None:
            return None
        await self._check(draft)
        return self.checked.plan if self.checked is not None else None

    async def _check(self, draft: Draft) -> None:
        assert self._profile is not None
        if draft.mode == "replay":
            checked = await asyncio.to_thread(draft.check, self._profile)
        else:
            checked = draft.check(self._profile)
        if draft is self.draft:
            self.checked = checked
            if checked.plan is not None and not draft.texts.get("stages"):
                stages = self._stages[self.tests.cursor or ""] = stages_of(checked.plan)
                self.form.show_default("stages", stages)
            self.form.show_errors(checked.errors)
            self._show_words()

    def _show_words(self) -> None:
        summary = self.summaries.get(self.runs.cursor or "")
        if self.pane == "runs" and summary is not None:
            self.words.show_run(summary)
        elif self.checked is not None:
            self.words.show_test(self.checked)

    # The stored runs

    @work(group="runs", exclusive=True)
    async def load_runs(self) -> None:
        """Read the list of stored runs again, in a thread."""
        app = console_of(self)
        try:
            known = await asyncio.to_thread(store.runs)
            baselines = await asyncio.to_thread(store.baselines)
        except OpsError as error:
            app.say(str(error), "error")
            return
        here = [run for run in reversed(known) if run.profile == app.profile.name]
        here = here[: run_rows.MOST]
        self.summaries = {run.id: run for run in here}
        self.baselines = baselines
        self.runs.show(run_rows.rows(here, baselines, app.symbols))
        if here and self.pane != "runs" and not self.runs.marked:
            self.runs.cursor = here[0].id  # what was measured last is in sight
            self.runs.scroll_to(y=0, animate=False)
        self._show_words()
        self.post_message(self.FocusMoved())

    @property
    def run_at_hand(self) -> str | None:
        """The id of the stored run that a key works on; None outside their list."""
        return self.runs.cursor if self.pane == "runs" else None

    # Focus and keys

    @property
    def pane(self) -> Pane:
        """Which pane has the focus, or had it before a dialog or the prompt."""
        return self._pane

    @property
    def typing(self) -> bool:
        """Whether a field has the focus: letters are no keys of the console there."""
        return control_of(self.screen.focused) is not None

    def focus_pane(self, pane: Pane) -> None:
        """Give a pane the focus."""
        self._pane = pane
        self._arrange()  # what is not displayed cannot have it
        if pane == "form":
            self.form.enter()
        else:
            self.screen.set_focus(self.tests if pane == "tests" else self.runs)

    def action_pane(self, step: int) -> None:
        panes: tuple[Pane, ...] = ("tests", "form", "runs")
        self.focus_pane(panes[(panes.index(self.pane) + step) % 3])

    def action_enter(self) -> None:
        if self.pane == "tests":
            self.focus_pane("form")
        elif self.run_at_hand is not None:
            self.post_message(self.Opened(self.run_at_hand))

    def action_mark(self) -> None:
        if self.pane == "runs":
            self.runs.toggle_mark()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        pane = self._pane = self._focused_pane()
        plain = console_of(self).symbols.plain
        self.set_class(pane == "runs", "-runs")
        pointer, resting = (">", ".") if plain else ("▌", "▏")
        self.tests.pointer = pointer if pane == "tests" else resting
        self.runs.pointer = pointer if pane == "runs" else " "
        self.tests.refresh()
        self.runs.refresh()
        self._show_words()
        if self.draft is not None:
            self.form.idle = self._idle_note(self.draft)
            self.form.show_note()
        self.post_message(self.FocusMoved())

    def _focused_pane(self) -> Pane:
        focused = self.screen.focused
        if focused is self.runs:
            return "runs"
        return "form" if focused is not None and self.form in focused.ancestors else "tests"

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        if event.key in self.drafts:
            self._show_draft()
        else:
            self._show_words()

    def on_table_opened(self, event: Table.Opened) -> None:
        event.stop()
        self.action_enter()

    def on_edited(self, event: Edited) -> None:
        event.stop()
        self._show_tests()

    def on_form_ticks_asked(self, event: SetupForm.TicksAsked) -> None:
        event.stop()
        draft, profile = self.draft, self._profile
        if draft is None or profile is None:
            return
        names = [server.name for server in profile.servers]
        said = names_of(draft.texts.get("servers", "")) or names[:1]

        def chosen(servers: list[str] | None) -> None:
            if servers is not None:
                ordered = [name for name in names if name in servers]
                draft.texts["servers"] = ", ".join(ordered)
                self._show_tests()

        selections = [
            Selection(Content(clean_line(name, 40)), name, name in said) for name in names
        ]
        self.app.push_screen(ChooseScreen("Which servers, in turn?", selections), chosen)
