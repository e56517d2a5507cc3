"""The form of a load test."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from opsconsole.tui.load_draft import Draft
from opsconsole.tui.load_fields import FIELDS, fields_of
from opsconsole.tui.widgets.form import Form
from opsconsole.tui.widgets.setup_controls import Edited


class SetupForm(Form):
    """The fields of one draft."""

    DEFAULT_CSS = """
    SetupForm { border-left: solid $rule; }
    """

    def __init__(self) -> None:
        super().__init__(FIELDS, "query_tokens", id="form")
        self._draft: Draft | None = None

    def show(
        self, draft: Draft, defaults: Mapping[str, str], servers: tuple[str, ...], idle: Content
    ) -> None:
        """Show ``draft``.

        Args:
            defaults: What holds for keys of which only the profile, or the plan, can tell.
            servers: The names to choose from.
            idle: The note while no field is being edited.
        """
        self._draft, self.idle = draft, idle
        fields = []
        for field in fields_of(draft.mode, draft.texts):
            choices = servers if field.key == "servers" else field.choices
            default = defaults.get(field.key, field.default)
            fields.append(field._replace(choices=choices, default=default))
        self.show_fields(fields, draft.texts)

    def on_edited(self, event: Edited) -> None:
        if self._draft is not None:
            self._draft.texts[event.key] = event.text
