"""What a request is told that there is no room or time for: why, and when to come again."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from opsconsole.figures import with_unit
from opsconsole.server.admission import DeadlinePassed, QueueFull, Refused
from opsconsole.server.errors import RequestError

if TYPE_CHECKING:
    from opsconsole.engine import Engine
    from opsconsole.engine.records import Options
    from opsconsole.server.admission import Admission
    from opsconsole.server.counting import Metrics

MOST_RETRY_AFTER = 60
_RATE_SECONDS = 0.25
"""How long the engine's rate is taken as read: asking costs as much as admitting."""


class _Rates(NamedTuple):
    """Tokens that the device computes in a second; 0 where that is not known."""

    read: float
    """``time.monotonic()``."""
    batches: int
    tokens: int
    """Computed until then."""
    now: float
    """Over the last batches, be they small."""
    best: float
    """With full batches: nothing is refused because those before it were small."""


_DOUBT = 4.0
"""A request that has the device for itself may be estimated so many times too large."""


class Refusals:
    """Makes the answers; knows how fast the work ahead is done.

    Attributes:
        engine: What does it, once it is loaded.
    """

    def __init__(self, admission: Admission, metrics: Metrics) -> None:
        self.engine: Engine | None = None
        self._admission = admission
        self._metrics = metrics
        self._rates = _Rates(0.0, 0, 0, 0.0, 0.0)

    def unmeetable(self, client: str | None, tokens: int, options: Options) -> RequestError | None:
        """Why the request's deadline cannot be met, even at the device's best."""
        rate = self._device_rates().best
        if not rate or options.deadline is None:
            return None
        left = options.deadline - time.monotonic()
        if self._admission.tokens + tokens <= rate * left:
            return None
        if not self._admission.tokens and tokens <= _DOUBT * rate * left:
            return None  # else a wrong estimate would never meet what mends it
        ahead = self._admission.ahead(client, tokens, options.weight, rate)
        seconds = (ahead + tokens) / rate
        if seconds <= left:
            return None
        return RequestError(
            503,
            "deadline_unmeetable",
            f"this takes about {with_unit(seconds)}, for {ahead:.0f} tokens ahead and {tokens} of "
            f"its own at {rate:.0f} a second; {with_unit(max(0.0, left))} are left",
            # Once it is too large in itself, waiting does not help.
            retry_after=_whole_seconds(ahead / rate) if tokens <= rate * left else None,
        )

    def of(self, refused: Refused) -> RequestError:
        """The answer to a request that was not admitted."""
        admission = self._admission
        if isinstance(refused, DeadlinePassed):
            return RequestError(
                504, "deadline_exceeded", "the request's time was over before its scores came"
            )
        if isinstance(refused, QueueFull):
            return RequestError(
                503,
                "queue_full",
                f"{admission.active} requests run and {admission.waiting} wait, "
                "there is no room for one more of this client",
                retry_after=self._retry_after(),
            )
        return RequestError(
            503,
            "overloaded",
            f"about {admission.tokens} tokens run or wait, this request would be over what one "
            f"client or all may have ({admission.max_tokens})",
            retry_after=self._retry_after(),
        )

    def _retry_after(self) -> int:
        """Seconds in which what is here now will be done."""
        rate = self._device_rates().now
        if rate:
            return _whole_seconds(self._admission.tokens / rate)
        latency = self._metrics.latency
        mean = latency.total / latency.count if latency.count else 1.0
        return _whole_seconds(mean * (self._admission.waiting + 1) / self._admission.max_parallel)

    def _device_rates(self) -> _Rates:
        now, before = time.monotonic(), self._rates
        if self.engine is None or now - before.read < _RATE_SECONDS:
            return before
        stats, tuning = self.engine.stats(), self.engine.info.tuning
        best = max(before.best, tuning.tokens_per_second)
        batches = stats.batches - before.batches
        full = (stats.tokens_real - before.tokens) >= batches * tuning.fill_tokens / 2
        if batches and full and stats.tokens_per_second is not None:
            best = max(best, stats.tokens_per_second)
        self._rates = _Rates(
            now, stats.batches, stats.tokens_real, stats.tokens_per_second or best, best
        )
        return self._rates


def _whole_seconds(seconds: float) -> int:
    return min(MOST_RETRY_AFTER, max(1, math.ceil(seconds)))
