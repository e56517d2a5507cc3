"""Over the Servers screen: what a tuning is to try, in what time, by which load; then it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from textwrap import wrap
from typing import ClassVar

from textual import events, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from textual.widgets.selection_list import Selection

from opsconsole.actions import Action, Scope, get
from opsconsole.figures import ago
from opsconsole.profile import Server
from opsconsole.text import clean_line
from opsconsole.tui.keys import bindings
from opsconsole.tui.load_draft import names_of
from opsconsole.tui.load_fields import LABELS
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.screens.choose import ChooseScreen
from opsconsole.tui.tune_draft import FIELDS, Checked, TuneDraft, in_words
from opsconsole.tui.widgets.form import Form
from opsconsole.tui.widgets.frame import Footer, Rule
from opsconsole.tui.widgets.setup_controls import Edited, control_of, key_words
from opsconsole.tuning.space import SWEPT

_BEGINS = "tune.start"
"""What can be done here; the other keys work when it has begun."""
_KEYS = [b for b in bindings(Scope.TUNE) if isinstance(b, Binding) and b.id == _BEGINS]
_LABEL = 8
_LABELS = LABELS | {field.key: field.label for field in FIELDS}


class TuneSetupScreen(ConsoleScreen):
    """The form of a tuning of one daemon; nothing is touched before it is confirmed."""

    SCOPES: ClassVar = (Scope.TUNE,)
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            each
            for each in bindings(Scope.TUNE)
            if isinstance(each, Binding) and each.id == _BEGINS
        ),
        # From within a field, where S is a letter.
        Binding("ctrl+r", "app.act('tune.start')", show=False, priority=True),
        Binding("enter,tab", "edit", show=False),
    ]
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    TuneSetupScreen #tune-what { height: 1; padding: 0 1; }
    TuneSetupScreen Form { height: 1fr; }
    TuneSetupScreen #tune-words { height: 5; padding: 0 1; }
    TuneSetupScreen.-low #tune-words { height: 2; }
    """

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.checked: Checked | None = None

    def body(self) -> Iterable[Widget]:
        self.draft = TuneDraft(self.console_app.profile, self.server)
        name = clean_line(self.server.name, 40)
        self.form = Form(FIELDS, "values", id="tune-form")
        self.words = Static(id="tune-words", markup=False)
        title = Content.assemble("tune ", (name, "bold $bright"))
        return (Static(title, id="tune-what"), self.form, Rule(), self.words)

    def on_mount(self) -> None:
        self.form.idle = key_words(("enter", "edits"), ("S", "starts"), ("esc", "closes"))
        self._show()

    def on_resize(self) -> None:
        self.set_class(self.size.height < 20, "-low")
        self._show_words()

    def offers(self, action: Action) -> bool:
        if action.scope is not Scope.TUNE:
            return True
        return action.id == _BEGINS and control_of(self.focused) is None

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.query_one(Footer).refresh()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        self.query_one(Footer).refresh()

    # What is shown

    def _show(self) -> None:
        self.form.show_fields(self.draft.fields(), self.draft.texts)
        self._check()

    @work(group="check", exclusive=True)
    async def _check(self) -> None:
        await self._checked()

    async def _checked(self) -> None:
        draft = self.draft
        self.checked = await asyncio.to_thread(draft.check)  # it may read a replay's file
        self.form.show_errors(self.checked.errors)
        self._show_words()

    def _show_words(self) -> None:
        if self.checked is None or not self.is_mounted:
            return
        request, errors = self.checked
        if request is None:
            number = len(errors)
            words = f"× {'a mistake' if number == 1 else f'{number} mistakes'}: it cannot start"
            told = [f"\n{_LABELS.get(key, key)}: {what}" for key, what in errors.items()]
            self.words.update(Content.assemble((words, "bold $error"), *told), layout=False)
            return
        what, load = in_words(request, self.server)
        takes = f"{ago(request.budget)} at most; the restoring comes after it"
        means = "it is restarted again and again and serves nobody else meanwhile"
        width = max(20, self.size.width - 2 - _LABEL)
        parts: list[str | tuple[str, str]] = []
        for label, sentence in (("tries", what), ("load", load), ("takes", f"{takes}; {means}")):
            parts.append((f"{label:<{_LABEL}}", "$dim"))
            for number, line in enumerate(wrap(clean_line(sentence, 300), width)):
                parts.append(f"{' ' * _LABEL if number else ''}{line}\n")
        self.words.update(Content.assemble(*parts), layout=False)

    # Keys

    def on_edited(self, event: Edited) -> None:
        event.stop()
        self.draft.texts[event.key] = event.text
        self._show()

    def on_form_ticks_asked(self, event: Form.TicksAsked) -> None:
        event.stop()
        said = names_of(self.draft.said("only").upper()) or SWEPT

        def chosen(names: list[str] | None) -> None:
            if names is not None:
                ordered = [name for name in SWEPT if name in names]
                every = len(ordered) in (0, len(SWEPT))
                self.draft.texts["only"] = "" if every else ", ".join(ordered)
                self._show()

        selections = [Selection(Content(name), name, name in said) for name in SWEPT]
        self.app.push_screen(ChooseScreen("Which settings are varied?", selections), chosen)

    def action_edit(self) -> None:
        self.form.enter()

    def do_console_back(self) -> None:
        if control_of(self.focused) is not None:
            self.set_focus(None)
        else:
            self.dismiss()

    @work(group="start", exclusive=True)
    async def do_tune_start(self) -> None:
        app = self.console_app
        await self._checked()
        request = self.checked.request if self.checked is not None else None
        if request is None:
            app.say("there are mistakes in it: nothing was started", "warning")
            self.form.enter()
            return
        if app.under_way:
            app.say(f"{app.under_way} is under way: stop it first", "warning")
            return

        def tune() -> None:
            from opsconsole.tui.screens.tune import TuneScreen

            self.dismiss()
            app.push_screen(TuneScreen(self.server, request))

        name = clean_line(self.server.name, 40)
        what, load = in_words(request, self.server)
        question = f"Tune {name} for up to {ago(request.budget)}: {what}? Load: {load}."
        app.operator.confirmed(get(_BEGINS), question, tune)
