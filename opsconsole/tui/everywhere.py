"""The console's own actions, which work on every screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.tui.scrollbar import use_plain
from opsconsole.tui.symbols import ASCII, UNICODE
from opsconsole.tui.theme import THEMES

if TYPE_CHECKING:
    from opsconsole.tui.app import ConsoleApp


class Everywhere:
    """One ``do_…`` method an action, unless a screen has its own."""

    def __init__(self, app: ConsoleApp) -> None:
        self.app = app

    def do_server_load(self, *words: str) -> None:
        """``:load`` from any screen; where no server is at hand, the profile's first."""
        from opsconsole.tui.load_command import load_at_once  # not before the first paint

        load_at_once(self.app, words, self.app.profile.servers[:1])

    # Screens

    def do_console_servers(self) -> None:
        self.app.switch_mode("servers")

    def do_console_logs(self) -> None:
        self.app.switch_mode("logs")

    def do_console_load(self) -> None:
        self.app.switch_mode("load")

    def do_console_rerank(self) -> None:
        self.app.switch_mode("rerank")

    def do_console_host(self) -> None:
        self.app.switch_mode("host")

    def do_console_help(self) -> None:
        from opsconsole.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    def do_console_palette(self) -> None:
        self.app.action_command_palette()

    # The console

    def do_console_readonly(self) -> None:
        self.app.operator.toggle_read_only()

    def do_console_profile(self, name: str = "") -> None:
        app = self.app
        if not name:
            app.say("say which: profile NAME", "warning")
            return
        app.run_worker(app.open_profile(name), group="profile", exit_on_error=False)

    def do_console_back(self) -> None:
        if self.app.current_mode != "servers":
            self.app.switch_mode("servers")

    def do_console_quit(self) -> None:
        app = self.app
        if app.current_mode not in ("servers", None):
            app.switch_mode("servers")
        elif app.under_way and not app.operator.quit_asked():
            app.say(f"{app.under_way} is under way; again to stop it and leave", "warning")
        else:
            app.exit()

    # What it looks like

    def do_console_mouse(self) -> None:
        mine = self.app.take_mouse()
        self.app.say("mouse: the console's" if mine else "mouse: the terminal's, select freely")

    def do_console_theme(self, name: str = "") -> None:
        app = self.app
        names = [theme.name for theme in THEMES]
        if name:
            found = next((n for n in names if n in (name, f"opsconsole-{name}")), None)
            if found is None:
                known = ", ".join(n.removeprefix("opsconsole-") for n in names)
                app.say(f"no theme {name}; there are: {known}", "error")
                return
            app.theme = found
        else:
            app.theme = names[(names.index(app.theme) + 1) % len(names)]
        app.say(f"theme {app.theme.removeprefix('opsconsole-')}")

    def do_console_charset(self) -> None:
        app = self.app
        sets = (UNICODE, UNICODE._replace(chart="block"), ASCII)
        at = next((i for i, s in enumerate(sets) if s.chart == app.symbols.chart), 0)
        app.symbols = sets[(at + 1) % len(sets)]
        use_plain(app.symbols.plain)
        app.on_screen_shown()
        app.refresh(layout=True)
        app.screen.refresh(layout=True)
        for widget in app.screen.query("*"):
            widget.refresh()
        app.say(f"charts in {app.symbols.chart}")

    def do_console_redraw(self) -> None:
        self.app.refresh(repaint=True, layout=True)
