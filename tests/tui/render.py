"""What stands on the screen of a running app, as plain text."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget


def screen_lines(app: App[object], *, strip: bool = True) -> list[str]:
    """The rows of the screen, each as wide as the terminal unless ``strip``\\ ped on the right.

    A wide character is followed by nothing: joined text, not cells.
    """
    lines = [strip_.text for strip_ in app.screen._compositor.render_strips()]
    return [line.rstrip() for line in lines] if strip else lines


def screen_text(app: App[object]) -> str:
    """The whole screen as text, blanks at the ends of rows left out."""
    return "\n".join(screen_lines(app))


def widget_lines(widget: Widget) -> list[str]:
    """The rows of one widget as drawn, its border and padding included."""
    region = widget.region
    strips = widget.app.screen._compositor.render_strips()
    rows = strips[region.y : region.bottom]
    return [row.crop(region.x, region.right).text.rstrip() for row in rows]


async def wait_for(
    pilot: Pilot[object], condition: Callable[[], bool], what: str = "", *, seconds: float = 30.0
) -> None:
    """Let the app run until ``condition`` holds; fails with the screen's text when it does not."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            raise AssertionError(
                f"not within {seconds} s: {what or condition}\n{screen_text(pilot.app)}"
            )
        await pilot.pause(0.01)
    await pilot.pause()
