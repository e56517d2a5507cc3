"""What an operator does with a run that was measured; all that takes time happens in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsconsole.actions import get
from opsconsole.errors import OpsError
from opsconsole.load import Run, store
from opsconsole.load.summary import Summary, sentence, summarize
from opsconsole.text import clean_line
from opsconsole.tui import run_rows
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.screens.pick import PickScreen
from opsconsole.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from opsconsole.tui.screens.base import ConsoleScreen

_FORMATS = {
    "html": "a page with charts, in one file",
    "markdown": "for a ticket or a post-mortem",
    "json": "all of it, for programs",
    "csv": "a line a second",
    "junit": "the thresholds, for CI",
    "hdr": "an HdrHistogram log",
}
_PAGE_FRAME = 8
"""Columns of a page that are not its text."""


class RunActions:
    """Reports, baselines, comparisons, exports and deletions for the screen that owns it.

    Args:
        changed: Called when the list of stored runs is no longer what it was.
    """

    def __init__(self, screen: ConsoleScreen, changed: Callable[[], None]) -> None:
        self.screen = screen
        self.changed = changed

    def report(self, run: Run | str) -> None:
        """The whole report of a run, or of a stored one's id."""
        self._do(self._report(run))

    def baseline(self, run_id: str) -> None:
        """Make a stored run the one that later runs of its test are compared with."""
        self._do(self._baseline(run_id))

    def compare(self, base_id: str, new: Run | str) -> None:
        """Two runs side by side."""
        self._do(self._compare(base_id, new))

    def compare_with(self, new: Run | str) -> None:
        """Ask with which run of the same test, the baseline first; then compare."""
        self._do(self._compare_with(new))

    def export(self, run: Run | str) -> None:
        """Ask for a format and a path, then write the run there."""
        formats = [(name, name, note) for name, note in _FORMATS.items()]

        def picked(format_: str | None) -> None:
            if format_ is not None:
                self._ask_path(run, format_)

        self.screen.app.push_screen(PickScreen("Export as", ("format", "what"), formats), picked)

    def delete(self, summary: Summary, is_baseline: bool) -> None:
        """Ask, then delete a stored run."""
        app = self.screen.console_app
        what = f"the baseline {summary.id}" if is_baseline else summary.id
        app.operator.confirmed(
            get("load.delete"), f"Delete {what}?", lambda: self._do(self._delete(summary.id))
        )

    # What takes time

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        async def told() -> None:
            try:
                await work
            except OpsError as error:
                self.screen.console_app.say(str(error), "error")

        self.screen.run_worker(told(), group="run-actions", exit_on_error=False)

    async def _report(self, run: Run | str) -> None:
        from opsconsole.load import report

        run = await _whole(run)
        app = self.screen.console_app
        text = await asyncio.to_thread(
            report.text, run, unicode=not app.symbols.plain, width=self._width()
        )
        app.push_screen(PageScreen(f"{run.plan.name}: {sentence(run)}", text))

    async def _baseline(self, run_id: str) -> None:
        summary = await asyncio.to_thread(store.set_baseline, run_id)
        self.changed()
        self.screen.console_app.say(f"later runs of {summary.plan} are held against this one")

    async def _compare(self, base_id: str, new: Run | str) -> None:
        from opsconsole.load.compare import compare
        from opsconsole.load.comparison_text import comparison_text

        app = self.screen.console_app
        app.say("comparing …")
        base = await _whole(base_id)
        run = await _whole(new)
        comparison = await asyncio.to_thread(compare, base, run)
        text = comparison_text(comparison, unicode=not app.symbols.plain, width=self._width())
        app.push_screen(PageScreen(f"{run.plan.name}: two runs compared", text))

    async def _compare_with(self, new: Run | str) -> None:
        known = await asyncio.to_thread(store.runs)
        baselines = await asyncio.to_thread(store.baselines)
        this = summarize(new) if isinstance(new, Run) else next(r for r in known if r.id == new)
        others = [
            run
            for run in reversed(known)
            if run.id != this.id
            and (run.plan, run.profile) == (this.plan, this.profile)
            and run.verdict != "invalid"
            and not run.by_hand  # with them nothing is compared
        ]
        others.sort(key=lambda run: run.id not in baselines)
        if not others:
            self.screen.console_app.say(
                f"there is no other run of {this.plan} to compare with", "warning"
            )
            return
        symbols = self.screen.console_app.symbols
        options = []
        for run in others[: run_rows.MOST]:
            look = run_rows.look(symbols, run)
            note = "baseline, " if run.id in baselines else ""
            options.append((run.id, run_rows.title(run), f"{note}{look.mark} {look.word}"))

        def picked(base_id: str | None) -> None:
            if base_id is not None:
                self.compare(base_id, new)

        title = f"Compare {run_rows.title(this)} with"
        self.screen.app.push_screen(PickScreen(title, ("run", ""), options), picked)

    async def _delete(self, run_id: str) -> None:
        await asyncio.to_thread(store.delete, run_id, force=True)
        self.changed()
        self.screen.console_app.say(f"deleted {run_id}")

    def _ask_path(self, run: Run | str, format_: str) -> None:
        from opsconsole.load.exports import FORMATS

        run_id = run.id if isinstance(run, Run) else run
        name = f"{clean_line(run_id, 200)}{FORMATS[format_]}"

        def typed(path: str) -> None:
            if path.strip():
                self._to(Path(path.strip()).expanduser(), name, run, format_)

        self.screen.query_one(Prompt).ask("write to ", typed, value=name)

    def _to(self, path: Path, name: str, run: Run | str, format_: str) -> None:
        from opsconsole.tui.screens.confirm import ConfirmScreen

        path = path / name if path.is_dir() else path

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(self._export(path, run, format_))

        if path.exists():
            question = ConfirmScreen(f"Replace {path}?", "There is a file of this name.")
            self.screen.app.push_screen(question, answered)
        else:
            answered(True)

    async def _export(self, path: Path, run: Run | str, format_: str) -> None:
        from opsconsole.load.exports import export
        from opsconsole.paths import write_atomic

        run = await _whole(run)

        def write() -> None:
            data = export(run, format_).encode()
            try:
                write_atomic(path, data, mode=0o644)
            except OSError as error:
                reason = error.strerror or str(error)
                raise OpsError(f"it cannot be written: {reason}", where=str(path)) from None

        await asyncio.to_thread(write)
        self.screen.console_app.say(f"written: {path.absolute()}")

    def _width(self) -> int:
        return max(40, min(96, round(self.screen.size.width * 0.96)) - _PAGE_FRAME)


async def _whole(run: Run | str) -> Run:
    return run if isinstance(run, Run) else await asyncio.to_thread(store.read, run)
