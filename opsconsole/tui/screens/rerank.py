"""Screen 3: a query and documents, ranked by the embedded engine and by servers, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea
from textual.widgets.selection_list import Selection

from opsconsole.actions import Scope
from opsconsole.engine.client import EngineClient
from opsconsole.engine.settings import EngineSettings
from opsconsole.errors import OpsError
from opsconsole.ranking import EMBEDDED, Ranking, rank_embedded, rank_server
from opsconsole.text import clean_line
from opsconsole.tui.examples import EXAMPLES
from opsconsole.tui.keys import bindings
from opsconsole.tui.ranking_rows import columns, rows
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.screens.choose import ChooseScreen
from opsconsole.tui.widgets.frame import Rule
from opsconsole.tui.widgets.table import Table


class RerankScreen(ConsoleScreen):
    """Rank documents."""

    SCOPES: ClassVar = (Scope.RERANK,)
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RERANK)
    AUTO_FOCUS = "#query"
    DEFAULT_CSS = """
    RerankScreen #ask { height: 8; padding: 0 1; }
    RerankScreen.-tall #ask { height: 14; }
    RerankScreen.-low #ask { height: 4; }
    RerankScreen .label { width: 11; color: $dim; }
    RerankScreen #query-row { height: 1; }
    RerankScreen #documents-row { height: 1fr; }
    RerankScreen Input { width: 1fr; height: 1; border: none; padding: 0;
        background: $panel; color: $foreground; }
    RerankScreen Input:focus { border: none; background: $cursor; }
    RerankScreen TextArea { width: 1fr; height: 100%; border: none; padding: 0;
        background: $panel; color: $foreground; scrollbar-size-vertical: 1; }
    RerankScreen TextArea:focus { border: none; background: $cursor; }
    RerankScreen TextArea .text-area--cursor-line { background: transparent; }
    RerankScreen #sides { height: 1; color: $dim; padding: 0 1; }
    RerankScreen Table { height: 1fr; }
    RerankScreen #verdict { height: 1; padding: 0 1; color: $dim; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[str] = []
        self.rankings: list[Ranking] = []
        self.documents: list[str] = []
        self._example = -1
        self._engine: EngineClient | None = None
        self._seen_request: str | None = None

    def body(self) -> Iterable[Widget]:
        with Vertical(id="ask"):
            with Horizontal(id="query-row"):
                yield Static("query", classes="label")
                yield Input(
                    id="query", compact=True, placeholder="what the documents are ranked for"
                )
            with Horizontal(id="documents-row"):
                yield Static("documents\none a line", classes="label")
                yield TextArea(
                    id="documents",
                    soft_wrap=False,
                    show_line_numbers=False,
                    tab_behavior="focus",
                    compact=True,
                    highlight_cursor_line=False,
                )
        yield Static(id="sides")
        yield Rule()
        symbols = self.console_app.symbols
        yield Table((), pointer=">" if symbols.plain else "▌", id="ranking")
        yield Static(id="verdict")

    def on_mount(self) -> None:
        self.query_one(Table).empty = "no ranking yet: ^r ranks, ^e fills in an example"
        self.do_rerank_example()
        self._take_request(first=True)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.is_mounted:
            self._take_request()

    async def on_unmount(self) -> None:
        if self._engine is not None:
            await self._engine.close()

    def on_resize(self) -> None:
        self.set_class(self.size.height >= 34, "-tall")
        self.set_class(self.size.height < 18, "-low")
        self._show()

    def _take_request(self, first: bool = False) -> None:
        """Follow what was chosen on the Servers screen, once a choice."""
        wanted = self.console_app.rank_with
        if first:
            self.sides = [EMBEDDED]
        if wanted is not None and wanted != self._seen_request:
            self._seen_request = wanted
            if wanted not in self.sides:
                self.sides.append(wanted)
        self._show_sides()

    def show_model(self) -> None:
        self._show_sides()

    def _show_sides(self) -> None:
        colors = self.console_app.theme_variables
        parts: list[str | tuple[str, str]] = ["ranked by  "]
        for side in self.sides:
            name = "embedded engine" if side == EMBEDDED else clean_line(side, 30)
            parts.append((name, f"bold {colors['bright']}"))
            parts.append(f" {self._engine_words()}   " if side == EMBEDDED else "   ")
        if not self.sides:
            parts.append(("nobody: ^s chooses", "bold"))
        self.query_one("#sides", Static).update(Content.assemble(*parts))

    def _engine_words(self) -> str:
        engine = self._engine
        if engine is None or engine.state == "stopped":
            return "(starts when asked)"
        if engine.state == "ready" and engine.info is not None:
            info = engine.info
            return f"({clean_line(info.name, 40)}, {info.backend} on {info.device})"
        return f"({engine.state} …)" if engine.state == "loading" else "(failed)"

    # Actions

    def do_rerank_example(self) -> None:
        self._example = (self._example + 1) % len(EXAMPLES)
        query, documents = EXAMPLES[self._example]
        self.query_one("#query", Input).value = query
        self.query_one("#documents", TextArea).text = "\n".join(documents)
        # A ranking of other texts under these would mislead.
        self.rankings = []
        self.query_one(Table).show([])
        self.query_one("#verdict", Static).update("")

    def do_rerank_sides(self) -> None:
        servers = [s.name for s in self.console_app.profile.servers if s.kind == "own"]
        options = [("embedded engine", EMBEDDED), *((name, name) for name in servers)]

        def chosen(sides: list[str] | None) -> None:
            if sides is not None:
                self.sides = sides
                self._show_sides()

        selections = [
            Selection(Content(clean_line(label, 40)), value, value in self.sides)
            for label, value in options
        ]
        self.app.push_screen(ChooseScreen("Who ranks?", selections), chosen)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "query":
            event.stop()
            self.do_rerank_run()

    def do_rerank_run(self) -> None:
        query = self.query_one("#query", Input).value
        lines = self.query_one("#documents", TextArea).text.split("\n")
        self.documents = [line for line in lines if line.strip()]
        if not query.strip() or not self.documents:
            self.console_app.say("a query and at least one document are needed", "warning")
            return
        if not self.sides:
            self.console_app.say("nobody ranks: ^s chooses", "warning")
            return
        self.query_one("#verdict", Static).update("ranking …")
        self.run_worker(
            self._rank(query, list(self.documents)), group="rank", exclusive=True,
            exit_on_error=False,
        )  # fmt: skip

    async def _rank(self, query: str, documents: list[str]) -> None:
        jobs = []
        for side in self.sides:
            if side == EMBEDDED:
                jobs.append(self._rank_embedded(query, documents))
            elif (server := self.console_app.profile.server(side)) is not None:
                jobs.append(rank_server(server, query, documents))
        self.rankings = list(await asyncio.gather(*jobs))
        self._show()

    async def _rank_embedded(self, query: str, documents: list[str]) -> Ranking:
        if self._engine is None or self._engine.state == "failed":
            self._engine = EngineClient(EngineSettings())
        if self._engine.state == "stopped":
            self.query_one("#verdict", Static).update("the embedded engine loads its model …")
            starting = asyncio.create_task(self._engine.start())
            await asyncio.sleep(0)
            self._show_sides()
            try:
                await starting
            except OpsError as error:
                return Ranking(source=EMBEDDED, error=str(error))
            finally:
                self._show_sides()
        return await rank_embedded(self._engine, query, documents)

    def _show(self) -> None:
        if not self.rankings:
            return
        table = self.query_one(Table)
        table.columns = columns(self.rankings, self.size.width)
        table.show(rows(self.rankings, self.documents, self.console_app.symbols))
        table.refresh()
        self.query_one("#verdict", Static).update(self._verdict())

    def _verdict(self) -> Content:
        colors = self.console_app.theme_variables
        parts: list[str | tuple[str, str]] = []
        for ranking in self.rankings:
            name = "embedded" if ranking.source == EMBEDDED else clean_line(ranking.source, 24)
            if ranking.error:
                parts.append((f"{name}: {clean_line(ranking.error, 120)}   ", colors["error"]))
            else:
                parts.append(f"{name} {ranking.seconds * 1000:.1f} ms   ")
        good = [r for r in self.rankings if not r.error]
        if len(good) > 1:
            first = [index for index, _ in good[0].results]
            same = all([index for index, _ in r.results] == first for r in good[1:])
            word = "same order" if same else "the orders differ"
            parts.append((word, colors["success"] if same else colors["warning"]))
        return Content.assemble(*parts)

    def do_rerank_copy(self) -> None:
        lines = []
        for ranking in self.rankings:
            lines.append(f"{ranking.source or 'embedded'}\t{ranking.model}\t{ranking.error}")
            lines += [f"{score:.6f}\t{self.documents[i]}" for i, score in ranking.results]
        if lines:
            self.console_app.copy("\n".join(lines) + "\n", "the ranking")

    def do_console_back(self) -> None:
        # Out of the text fields first: keys like 1 and ? are typed into them otherwise.
        if isinstance(self.focused, Input | TextArea):
            self.query_one(Table).focus()
        else:
            self.console_app.everywhere.do_console_back()
