"""What a log view looks for: the filter, the search, and jumps to matches, errors and warnings."""

from __future__ import annotations

from time import perf_counter
from typing import Literal, NamedTuple

from opsconsole.logs import (
    Filter,
    Level,
    LineIndex,
    LogBuffer,
    Pattern,
    level_test,
    pattern_test,
)

Target = Literal["match", "error", "warning"]


class _Jump(NamedTuple):
    """A jump that waits until the lines it depends on have been looked at."""

    target: Target
    forward: bool
    origin: int
    goal: int


class LogSearch:
    """The indexes of a log view over its buffer, worked out a little at a time.

    Args:
        buffer: All lines.
    """

    def __init__(self, buffer: LogBuffer) -> None:
        self.buffer = buffer
        self.filter = Filter()
        self.pattern: Pattern | None = None
        self.shown: LineIndex | None = None
        """The lines that the filter shows; None shows all."""
        self.hits: LineIndex | None = None
        """The shown lines that the search matches; None without a search."""
        self._levels: dict[Level, LineIndex] = {}
        self._jump: _Jump | None = None

    def set_filter(self, chosen: Filter) -> None:
        """Show other lines."""
        self.filter = chosen
        self.shown = LineIndex(self.buffer, chosen.test) if chosen else None
        self._jump = None
        self._levels.clear()
        self.set_pattern(self.pattern)

    def set_pattern(self, pattern: Pattern | None) -> None:
        """Search for something else among the shown lines; None for nothing."""
        self.pattern = pattern
        self._jump = None
        self.hits = None
        if pattern is not None:
            wanted = pattern
            self.hits = LineIndex(self.buffer, lambda: pattern_test(wanted), self.shown)

    def restart(self) -> None:
        """Look at everything anew, as after the buffer was cleared."""
        self.set_filter(self.filter)

    def _all(self) -> list[LineIndex]:
        first = [index for index in (self.shown, self.hits) if index is not None]
        return [*first, *self._levels.values()]

    @property
    def current(self) -> bool:
        """Whether all lines have been looked at."""
        return all(index.current for index in self._all())

    def advance(self, seconds: float) -> bool:
        """Look at more lines for at most about ``seconds``.

        Returns:
            True when there is nothing left to look at.
        """
        deadline, done = perf_counter() + seconds, True
        # the filter comes first, since the others only look at what it has let through
        for index in self._all():
            if not index.current:
                done = index.advance(max(0.0, deadline - perf_counter())) and done
        return done

    def evict(self) -> None:
        """Forget lines that the buffer has dropped."""
        for index in self._all():
            index.evict()

    def take_older(self, stop: int) -> None:
        """Look at lines that were put before number ``stop``."""
        for index in self._all():
            index.extend_front(stop)

    def jump(self, target: Target, forward: bool, origin: int) -> bool:
        """Ask for the next match, error or warning from a line on; :meth:`landed` gives it.

        Returns:
            False when there is no search to jump in.
        """
        if target == "match":
            if self.hits is None:
                return False
        elif target not in self._levels:
            level: Level = target
            self._levels[level] = LineIndex(self.buffer, lambda: level_test(level), self.shown)
        self._jump = _Jump(target, forward, origin, self.buffer.end)
        return True

    def landed(self) -> tuple[int | None, str]:
        """The line that a jump has found, or in words that there is none; None and "" otherwise."""
        jump = self._jump
        if jump is None:
            return None, ""
        index = self.hits if jump.target == "match" else self._levels[jump.target]
        if index is None:
            return None, ""
        found = index.after(jump.origin) if jump.forward else index.before(jump.origin)
        looked = index.scanned >= (jump.goal if jump.forward else jump.origin)
        if not looked and (found is None or not jump.forward):
            return None, ""
        self._jump = None
        if found is not None:
            return found, ""
        return None, f"no {'later' if jump.forward else 'earlier'} {jump.target}"
