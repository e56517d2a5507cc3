"""What is at hand in words: what a load test would do, its mistakes, or what a run measured."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap

from textual.content import Content
from textual.widgets import Static

from opsconsole.load.summary import Summary
from opsconsole.tui import run_rows
from opsconsole.tui.load_draft import Checked
from opsconsole.tui.load_fields import LABELS
from opsconsole.tui.plan_words import in_words
from opsconsole.tui.widgets.setup_controls import key_words

_LABEL = 9
"""Columns of a sentence's label."""


class Words(Static):
    """A few sentences with their labels, in lines as long as there is room."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._shown: Checked | Summary | None = None

    def on_resize(self) -> None:
        if isinstance(self._shown, Summary):
            self.show_run(self._shown)
        elif self._shown is not None:
            self.show_test(self._shown)

    def show_test(self, checked: Checked) -> None:
        """What a load test would do, or why it cannot start."""
        self._shown = checked
        if checked.plan is None:
            self._show_mistakes(checked.errors)
        else:
            sentences = in_words(checked.plan, checked.servers)
            self.update(self._said(("sends", "to", "expects"), sentences), layout=False)

    def show_run(self, summary: Summary) -> None:
        """What a stored run measured, and the keys that work on it."""
        self._shown = summary
        keys = key_words(("enter", "opens"), ("space", "marks two to compare"), ("D", "deletes"),
                         ("esc", "load tests"))  # fmt: skip
        said = self._said(("verdict", "figures", "servers"), run_rows.in_words(summary))
        self.update(said + keys, layout=False)

    def _show_mistakes(self, errors: Mapping[str, str]) -> None:
        number = len(errors)
        words = f"× {'a mistake' if number == 1 else f'{number} mistakes'}: it cannot start"
        told = [f"\n{LABELS.get(key, key)}: {what}" for key, what in errors.items()]
        self.update(Content.assemble((words, "bold $error"), *told), layout=False)

    def _said(self, labels: tuple[str, ...], sentences: tuple[str, ...]) -> Content:
        # A sentence longer than a line goes on under itself, not under its label.
        width = max(20, self.size.width - _LABEL)
        parts: list[str | tuple[str, str]] = []
        for label, sentence in zip(labels, sentences, strict=True):
            parts.append((f"{label:<{_LABEL}}", "$dim"))
            for number, line in enumerate(wrap(sentence, width) or [""]):
                parts.append(f"{' ' * _LABEL if number else ''}{line}\n")
        return Content.assemble(*parts)
