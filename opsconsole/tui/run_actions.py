"""What an operator does with a run that was measured; all that takes time happens in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsconsole.actions import get
from opsconsole.errors import OpsError
from opsconsole.load import Run, comparable, report, store
from opsconsole.load.summary import Summary, sentence, span, summarize, took
from opsconsole.text import clean_line
from opsconsole.tui import run_rows
from opsconsole.tui.run_so_far import so_far
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.screens.pick import PickScreen
from opsconsole.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from opsconsole.tui.load_desk import Session
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
_OFFERED, _LOOKED_AT = 50, 200
"""Runs to compare with that are offered, and those that are read to find them."""


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

    def so_far(self, session: Session) -> None:
        """What there is to be known of a run under way, in full."""
        app = self.screen.console_app
        shown = so_far(session, self._width())
        shown = report.plain(shown) if app.symbols.plain else shown
        app.push_screen(PageScreen(f"{session.plan.name}: so far", shown))

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
        run = await _whole(run)
        app = self.screen.console_app
        text = await asyncio.to_thread(
            report.text, run, unicode=not app.symbols.plain, width=self._width()
        )
        app.push_screen(PageScreen(f"{run.plan.name}: {sentence(run)}", text))

    async def _baseline(self, run_id: str, *, force: bool = False) -> None:
        summary = await asyncio.to_thread(store.look_up, run_id)
        if summary.verdict in ("failed", "stopped") and not summary.by_hand and not force:
            self._ask_baseline(summary)
            return
        await asyncio.to_thread(store.set_baseline, run_id, force=force)
        self.changed()
        self.screen.console_app.say(f"later runs of {summary.plan} are held against this one")

    def _ask_baseline(self, summary: Summary) -> None:
        """Later runs would look good beside one that failed."""
        from opsconsole.tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(self._baseline(summary.id, force=True))

        question = ConfirmScreen(
            f"Hold later runs of {summary.plan} against one that "
            f"{'failed' if summary.verdict == 'failed' else 'was stopped'}?",
            run_rows.in_words(summary)[0],
        )
        self.screen.app.push_screen(question, answered)

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
        app = self.screen.console_app
        run = await _whole(new)
        others, refused = await asyncio.to_thread(_comparable, run)
        if not others:
            app.say(refused or f"there is no other run of {run.plan.name} to compare with",
                    "warning")  # fmt: skip
            return
        baselines = await asyncio.to_thread(store.baselines)
        others.sort(key=lambda each: each.id not in baselines)
        options = []
        for each in others:
            look = run_rows.look(app.symbols, each)
            note = "baseline, " if each.id in baselines else ""
            note += f"{look.mark} {look.word}, p95 {took(each.p95)}, {span(each.seconds)}"
            options.append((each.id, run_rows.title(each), note))

        def picked(base_id: str | None) -> None:
            if base_id is not None:
                self.compare(base_id, run)

        title = f"Compare {run_rows.title(summarize(run))} with"
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


def _comparable(new: Run) -> tuple[list[Summary], str]:
    """The newest runs with which ``new`` can be compared; of the newest of the same test, why it
    cannot."""
    found: list[Summary] = []
    refused = ""
    same = [
        each
        for each in reversed(store.runs())
        if each.id != new.id and (each.plan, each.profile) == (new.plan.name, new.profile)
    ]
    for each in same[:_LOOKED_AT]:
        try:
            base = store.read(each.id)
            comparable.refuse(base, new, (), 0.95)
            comparable.strata(base, new)
        except OpsError as error:
            refused = refused or str(error)
            continue
        found.append(each)
        if len(found) == _OFFERED:
            break
    return found, refused


async def _whole(run: Run | str) -> Run:
    return run if isinstance(run, Run) else await asyncio.to_thread(store.read, run)
