"""Every operator action, once.

Key bindings, the footer, the ``?`` help, the ``:`` line, the palette, read-only mode, the
confirmation, the command-line verb and the audit record all derive from this table.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from opsconsole.profile import Profile


class Scope(StrEnum):
    """Where an action applies: which screen shows its key, and what its target is."""

    CONSOLE = "console"
    SERVER = "server"
    FLEET = "fleet"
    LOGS = "logs"
    LOAD = "load"
    RERANK = "rerank"
    HOST = "host"
    TUNE = "tune"


class Confirm(StrEnum):
    """How an operator confirms: not at all, with ``y``, or by typing a name."""

    NEVER = "never"
    YES = "yes"
    NAME = "name"


class Action(Struct, frozen=True, kw_only=True):
    """One action.

    Attributes:
        id: ``scope.verb``; also the id of its key binding.
        title: Two words at most, for the footer.
        help: One line, for the help page and the palette.
        key: Textual's name of its key; empty when it has none. Several, separated by commas.
        label: How the key is shown, when that differs from ``key``.
        mutates: It changes something outside this console; refused when read-only.
        confirm: How it is confirmed, outside production.
        in_production: How it is confirmed there; None: as :func:`confirmation` has it.
        verb: The command-line verb that does the same.
        footer: Whether the footer shows it (narrow terminals cut from the right).
    """

    id: str
    title: str
    help: str
    scope: Scope
    key: str = ""
    label: str = ""
    mutates: bool = False
    confirm: Confirm = Confirm.NEVER
    in_production: Confirm | None = None
    verb: str = ""
    footer: bool = False

    @property
    def key_label(self) -> str:
        """How the key is written for people."""
        return self.label or self.key.split(",")[0]


def _act(id: str, title: str, help: str, key: str = "", label: str = "", **more: object) -> Action:
    fields = {"scope": Scope(id.split(".")[0]), **more}
    return Action(id=id, title=title, help=help, key=key, label=label, **fields)  # type: ignore[arg-type]


ACTIONS: tuple[Action, ...] = (
    # Servers
    _act("server.start", "start", "Start the daemon; adopt it when its keeper died", "S",
         mutates=True, verb="start", footer=True),
    _act("server.stop", "stop", "Stop the daemon: drain, then end its whole process group", "X",
         mutates=True, confirm=Confirm.YES, verb="stop", footer=True),
    _act("server.restart", "restart", "Stop and start the daemon, and wait until it is healthy",
         "R", mutates=True, confirm=Confirm.YES, verb="restart", footer=True),
    _act("fleet.rolling", "rolling", "Restart daemons one at a time, each healthy before the next",
         "ctrl+r", "^r", mutates=True, confirm=Confirm.YES, verb="restart --rolling"),
    _act("server.logs", "logs", "Follow the log of the marked daemons, or of this one", "l",
         verb="logs", footer=True),
    _act("server.load", "load test", "Load-test this server, or the marked ones, at once", "L",
         mutates=True, in_production=Confirm.NAME, verb="load", footer=True),
    _act("server.describe", "describe", "Everything that is known of this server", "enter,d",
         "enter", verb="status --json", footer=True),
    _act("server.tune", "tune", "Find the settings that serve best, by measuring them", "T",
         mutates=True, confirm=Confirm.YES, verb="tune --daemon NAME"),
    _act("server.health", "health", "The raw answer of the health route", "y",
         verb="get NAME health"),
    _act("server.metrics", "metrics", "The raw answer of the metrics route", "m",
         verb="get NAME metrics"),
    _act("server.rank", "rank", "Rank documents with this server", "r", verb="rank", footer=True),
    _act("server.mark", "mark", "Mark this row; actions then work on all marked rows", "space"),
    _act("server.unmark", "unmark", "Unmark all rows", "u"),
    _act("server.sort", "sort", "Sort by the next column", "o"),
    _act("server.check", "check", "The verdict of --check on the marked servers, or all", "v",
         verb="--check"),
    # Logs: the view's own keys, listed here so that help and the command line know them
    _act("logs.follow", "follow", "Follow the end, or pause", "f", footer=True),
    _act("logs.search", "search", "Highlight matches; n and N jump between them", "slash", "/",
         footer=True),
    _act("logs.filter_in", "only", "Show only the lines that match", "ampersand", "&", footer=True),
    _act("logs.filter_out", "hide", "Hide the lines that match", "exclamation_mark", "!",
         footer=True),
    _act("logs.clear_filters", "all", "Show every line again", "a"),
    _act("logs.level", "level", "Lowest level shown: all, debug, info, warning, error", "t",
         footer=True),
    _act("logs.next_error", "error", "Jump to the next error; E to the one before", "e",
         footer=True),
    _act("logs.previous_error", "error ←", "Jump to the error before", "E"),
    _act("logs.next_warning", "warning", "Jump to the next warning; W to the one before", "w"),
    _act("logs.previous_warning", "warning ←", "Jump to the warning before", "W"),
    _act("logs.next_match", "match", "Jump to the next match of the search", "n"),
    _act("logs.previous_match", "match ←", "Jump to the match before", "N"),
    _act("logs.wrap", "wrap", "Wrap long lines, or scroll sideways", "z", footer=True),
    _act("logs.sources", "sources", "Choose whose logs are shown, merged by time", "s",
         footer=True),
    _act("logs.open", "open", "Show any other log file: open PATH"),
    _act("logs.copy", "copy", "Copy the marked lines, or those on screen; over SSH too", "c"),
    # Load
    _act("load.start", "start", "Run the load test that is chosen", "S", mutates=True,
         in_production=Confirm.NAME, verb="load", footer=True),
    _act("load.pause", "pause", "Send nothing for a while, or go on", "P", mutates=True,
         in_production=Confirm.NEVER, verb="load", footer=True),
    _act("load.stop", "stop", "Send nothing more; what is in flight may end", "X", footer=True),
    _act("load.faster", "more", "A quarter more requests a second, or more clients",
         "plus", "+", mutates=True, in_production=Confirm.NEVER, verb="load", footer=True),
    _act("load.slower", "less", "A fifth fewer requests a second, or fewer clients", "minus", "-",
         mutates=True, in_production=Confirm.NEVER, verb="load", footer=True),
    _act("load.repeat", "repeat", "Run the same test again", "R", mutates=True,
         in_production=Confirm.NAME, verb="load", footer=True),
    _act("load.choose", "tests", "Choose another load test, or a stored run", "n", footer=True),
    _act("load.report", "report", "The whole report of the run", "o", verb="load show",
         footer=True),
    _act("load.baseline", "baseline", "Hold later runs of the same test against this one", "b",
         verb="load baseline", footer=True),
    _act("load.compare", "compare", "Compare with the baseline, or with another run", "c",
         verb="load compare", footer=True),
    _act("load.export", "export", "Write the run as HTML, JSON, CSV, JUnit, Markdown or HDR log",
         "e", verb="load export", footer=True),
    _act("load.delete", "delete", "Delete the stored run", "D", mutates=True, confirm=Confirm.YES,
         verb="load delete"),
    # Tune
    _act("tune.start", "start", "Restart it with other settings, again and again", "S",
         mutates=True, confirm=Confirm.YES, verb="tune", footer=True),
    _act("tune.stop", "stop", "Stop, and put back what was there; the second time at once", "X",
         footer=True),
    _act("tune.report", "report", "The whole report of the tuning", "o", footer=True),
    _act("tune.copy", "copy", "Copy the lines that are recommended", "c", footer=True),
    # Rerank
    _act("rerank.run", "rank", "Rank the documents on every chosen side", "ctrl+r", "^r",
         footer=True, verb="rank"),
    _act("rerank.sides", "sides", "Choose which servers rank beside the embedded engine", "ctrl+s",
         "^s", footer=True),
    _act("rerank.example", "example", "Fill in the next example", "ctrl+e", "^e", footer=True),
    _act("rerank.copy", "copy", "Copy the ranking as text", "c"),
    # Everywhere
    _act("console.servers", "Servers", "The fleet in one table", "1"),
    _act("console.logs", "Logs", "The logs of the daemons", "2", verb="logs"),
    _act("console.load", "Load", "Load tests: choose one, watch it, judge it", "3", verb="load"),
    _act("console.rerank", "Rerank", "Rank documents with any server, side by side", "4",
         verb="rank"),
    _act("console.host", "Host", "This machine: cores, memory, disks, GPUs", "5", verb="host"),
    _act("console.filter", "filter", "Filter the rows", "slash", "/", footer=True),
    _act("console.command", "command", "Type a command", "colon", ":", footer=True),
    _act("console.help", "help", "Every key and command", "question_mark", "?", footer=True),
    _act("console.palette", "palette", "Search the commands", "ctrl+p", "^p"),
    _act("console.readonly", "lock/unlock", "Read-only on or off; production asks its name", "U"),
    _act("console.mouse", "mouse", "Give the mouse to the terminal for selecting, or take it back",
         "f2"),
    _act("console.theme", "theme", "The next colour theme", "f3"),
    _act("console.charset", "symbols", "Charts as braille, blocks or ASCII", "f4"),
    _act("console.redraw", "redraw", "Draw the whole screen again", "ctrl+l", "^l"),
    _act("console.profile", "profile", "Open another profile: profile NAME"),
    _act("console.back", "back", "Close what is open, or go back to Servers", "escape", "esc"),
    _act("console.quit", "quit", "Back to Servers, and from there out; daemons go on", "q"),
)  # fmt: skip

_BY_ID = {action.id: action for action in ACTIONS}


def get(id: str) -> Action:
    """The action called ``id``; KeyError when there is none."""
    return _BY_ID[id]


def in_scope(*scopes: Scope) -> tuple[Action, ...]:
    """The actions of these scopes, in table order."""
    return tuple(action for action in ACTIONS if action.scope in scopes)


def confirmation(action: Action, profile: Profile, targets: int) -> Confirm:
    """How ``action`` is to be confirmed here.

    Production asks for the profile's name before anything that stops a server, and for ``y``
    before anything else that changes one; several targets at once always ask.
    """
    if not action.mutates:
        return Confirm.NEVER
    if profile.environment == "production":
        if action.in_production is not None:
            return action.in_production
        return Confirm.YES if action.confirm is Confirm.NEVER else Confirm.NAME
    if targets > 1 and action.confirm is Confirm.NEVER:
        return Confirm.YES
    return action.confirm
