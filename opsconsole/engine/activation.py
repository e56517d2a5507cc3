"""From a cross-encoder's logit to its score."""

from __future__ import annotations

import math

from opsconsole.engine.architecture import Activation


def activate(logit: float, activation: Activation) -> float:
    """The score that the model's reference makes of a logit; NaN stays NaN."""
    if activation == "identity":
        return logit
    if activation == "tanh":
        return math.tanh(logit)
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(logit)  # exp(-logit) would overflow
    return power / (1 + power)
