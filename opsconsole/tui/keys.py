"""Key bindings from the registry of actions."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from opsconsole.actions import Scope, in_scope


def bindings(*scopes: Scope) -> list[BindingType]:
    """Key bindings of the registry's actions in these scopes."""
    return [
        # ctrl keys act from within text fields too, which have their own use for some of them.
        Binding(
            action.key,
            f"app.act('{action.id}')",
            action.title,
            show=False,
            id=action.id,
            priority=action.key.startswith("ctrl+"),
        )
        for action in in_scope(*scopes)
        if action.key
    ]
