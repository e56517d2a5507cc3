"""A run in other formats, each as one text."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.errors import UsageError
from opsconsole.load.records import Run

FORMATS: dict[str, str] = {
    "json": ".json",
    "csv": ".csv",
    "junit": ".xml",
    "markdown": ".md",
    "html": ".html",
    "hdr": ".hlog",
}
"""The formats with the suffix of their files."""


def export(run: Run, format_: str) -> str:
    """``run`` as one of :data:`FORMATS`.

    Raises:
        UsageError: an unknown format.
    """
    writer = _writer(format_)
    if writer is None:
        raise UsageError(f"{format_!r} is no export format", hint="known: " + ", ".join(FORMATS))
    return writer(run)


def _writer(format_: str) -> Callable[[Run], str] | None:
    # Each imports only what it needs.
    match format_:
        case "json":
            from opsconsole.load.exports.document import as_json as writer
        case "csv":
            from opsconsole.load.exports.lines import as_csv as writer
        case "junit":
            from opsconsole.load.exports.junit import as_junit as writer
        case "markdown":
            from opsconsole.load.exports.markdown import as_markdown as writer
        case "html":
            from opsconsole.load.exports.page import as_html as writer
        case "hdr":
            from opsconsole.load.exports.hdr import as_hdr as writer
        case _:
            return None
    return writer
