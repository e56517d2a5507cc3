"""What every screen has: the frame, the prompt, and a way to show the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from opsconsole.actions import ACTIONS, Action, Scope
from opsconsole.load_words import MODES
from opsconsole.profile import Server, available
from opsconsole.profile.problems import nearest
from opsconsole.tui.running import console_of
from opsconsole.tui.theme import THEMES
from opsconsole.tui.widgets.frame import Footer, Header
from opsconsole.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from opsconsole.tui.app import ConsoleApp


def command_name(action: Action) -> str:
    """The word that stands for an action on the ``:`` line."""
    return action.id.split(".")[1].replace("_", "-")


class ConsoleScreen(Screen[None]):
    """A screen in the frame. Subclasses give :meth:`body` and :meth:`show_model`."""

    SCOPES: ClassVar[tuple[Scope, ...]] = ()

    @property
    def console_app(self) -> ConsoleApp:
        return console_of(self)

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical(id="body"):
            yield from self.body()
        yield Footer(*self.SCOPES)
        yield Prompt()

    def body(self) -> Iterable[Widget]:
        """The widgets between header and footer; each screen has its own."""
        return ()

    def show_model(self) -> None:
        """Show what the model holds now; called at most four times a second."""

    def offers(self, action: Action) -> bool:
        """Whether the footer names ``action`` as things stand."""
        return True

    def on_screen_resume(self) -> None:
        self.console_app.on_screen_shown()

    def targets(self) -> Sequence[Server]:
        """The servers that an action from here works on."""
        return ()

    def do_console_command(self) -> None:
        self.query_one(Prompt).ask(":", self.run_command, offer=self._offer)

    def run_command(self, line: str) -> None:
        """Run a line such as ``restart reranker-2`` or ``profile local``."""
        words = line.split()
        if not words:
            return
        found = self._commands().get(words[0].lower())
        if found is None:
            hint = nearest(words[0], self._commands())
            self.console_app.say(f"no command {words[0]} ({hint})", "warning")
            return
        self.console_app.act(found.id, *words[1:])

    def _commands(self) -> dict[str, Action]:
        """Word → action; an action of this screen goes before one of the same name elsewhere."""
        words: dict[str, Action] = {}
        here = [a for a in ACTIONS if a.scope in self.SCOPES]
        for action in [*here, *ACTIONS]:
            words.setdefault(command_name(action), action)
        return words

    def _offer(self, typed: str) -> Sequence[str]:
        head, _, rest = typed.partition(" ")
        if not rest and " " not in typed:
            return sorted(self._commands())
        profile = self.console_app.profile
        choices: Iterable[str] = [server.name for server in profile.servers]
        if head == "profile":
            choices = available()
        elif head == "theme":
            choices = [theme.name.removeprefix("opsconsole-") for theme in THEMES]
        elif head == "load" or (head == "start" and Scope.LOAD in self.SCOPES):
            tests = [*(load.name for load in profile.loads), *MODES]
            choices = [*choices, *tests] if head == "load" else tests
        lead = typed.rpartition(" ")[0]  # the word that is being typed
        return [f"{lead} {choice}" for choice in choices]
