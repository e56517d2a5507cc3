"""What an operator can do, how it is confirmed, and the trail of what was done."""

from opsconsole.actions.registry import (
    ACTIONS,
    Action,
    Confirm,
    Scope,
    confirmation,
    get,
    in_scope,
)

__all__ = ["ACTIONS", "Action", "Confirm", "Scope", "confirmation", "get", "in_scope"]
