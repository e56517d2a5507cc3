"""Numbers as people read them. Absent is a dash, never a zero."""

from __future__ import annotations

DASH = "—"


def ago(seconds: float) -> str:
    """A span of time in at most two units: ``3d 4h``, ``12m``, ``8s``."""
    seconds = max(0, int(seconds))
    for unit, size, below, below_size in (
        ("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1),
    ):  # fmt: skip
        if seconds >= size:
            rest = seconds % size // below_size
            return f"{seconds // size}{unit} {rest}{below}" if rest else f"{seconds // size}{unit}"
    return f"{seconds}s"


def latency(seconds: float | None) -> str:
    """Milliseconds without a unit, seconds with one: ``4.1``, ``43``, ``1.9s``."""
    if seconds is None:
        return DASH
    ms = seconds * 1000
    if ms < 9.95:
        return f"{ms:.1f}"
    if ms < 999.5:
        return f"{ms:.0f}"
    return f"{seconds:.1f}s" if seconds < 99.95 else f"{seconds:.0f}s"


def with_unit(seconds: float) -> str:
    """A span of time with its unit, for axes: ``0``, ``250µs``, ``18ms``, ``1.5s``."""
    if seconds == 0:
        return "0"
    if seconds < 0.0009995:  # what would be rounded to 1000 is written in the next unit
        return f"{seconds * 1e6:.3g}µs"
    return f"{seconds * 1000:.3g}ms" if seconds < 0.9995 else f"{seconds:.3g}s"


def rate(per_second: float | None) -> str:
    """A rate without its unit: ``0``, ``0.4``, ``37``, ``1.2k``."""
    if per_second is None:
        return DASH
    if per_second == 0:
        return "0"
    if per_second < 9.95:
        return f"{per_second:.1f}"
    if per_second < 9999.5:
        return f"{per_second:.0f}"
    return f"{per_second / 1000:.0f}k" if per_second < 999_500 else f"{per_second / 1e6:.1f}M"


def percent(share: float | None) -> str:
    """A share as percent without the sign: ``0.0``, ``4.1``, ``100``."""
    if share is None:
        return DASH
    value = share * 100
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def size(amount: float | None) -> str:
    """Bytes in binary units with three figures: ``640 MiB``, ``1.5 GiB``."""
    if amount is None:
        return DASH
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1023.5:
            return (
                f"{amount:.0f} {unit}" if amount >= 9.95 or unit == "B" else f"{amount:.1f} {unit}"
            )
        amount /= 1024
    return f"{amount:.1f} TiB"
